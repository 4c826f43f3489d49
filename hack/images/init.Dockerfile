# The init image with Docker, from the root of the repository:
#   docker build -f hack/images/init.Dockerfile -t REGISTRY/tsmesh/init:TAG .
# The content is that of `npm run images`, which needs no Docker. The first stage's Node only starts
# the build; the image has the one that package-lock.json pins.
FROM node:24-bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends iptables
WORKDIR /src
COPY . .
RUN npm ci && PATH="$PWD/node_modules/.bin:$PATH" node hack/images.ts --only init --rootfs /rootfs

FROM scratch
COPY --from=build /rootfs/ /
ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin
USER 0:0
ENTRYPOINT ["/usr/bin/node", "/app/main.mjs"]
