# The proxy image with Docker, from the root of the repository:
#   docker build -f hack/images/proxy.Dockerfile -t REGISTRY/tsmesh/proxy:TAG .
# The content is that of `npm run images`, which needs no Docker. The first stage's Node only starts
# the build; the image has the one that package-lock.json pins.
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY . .
RUN npm ci && PATH="$PWD/node_modules/.bin:$PATH" node hack/images.ts --only proxy --rootfs /rootfs

FROM scratch
COPY --from=build /rootfs/ /
ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin
ENV MALLOC_ARENA_MAX=1
USER 15086:15086
ENTRYPOINT ["/usr/bin/node", "--max-semi-space-size=2", "--no-maglev", "--expose-gc", "/app/main.mjs"]
