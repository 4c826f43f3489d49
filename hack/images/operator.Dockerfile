# The operator image with Docker, from the root of the repository:
#   docker build -f hack/images/operator.Dockerfile -t REGISTRY/tsmesh/operator:TAG .
# The content is that of `npm run images`, which needs no Docker. The first stage's Node only starts
# the build; the image has the one that package-lock.json pins.
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY . .
RUN npm ci && PATH="$PWD/node_modules/.bin:$PATH" node hack/images.ts --only operator --rootfs /rootfs

FROM scratch
COPY --from=build /rootfs/ /
ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin
USER 65532:65532
ENTRYPOINT ["/usr/bin/node", "/app/main.mjs"]
