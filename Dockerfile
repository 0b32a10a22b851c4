# The images of the node and of the operator: docker build --target node . / docker build --target operator .
# Dependencies are a layer of their own (cargo-chef), so that a change of ours compiles only what is ours.
# Without Docker and without any base image: make images.

FROM rust:1.95-bookworm AS chef
RUN apt-get update \
    && apt-get install -y --no-install-recommends libclang-dev mold \
    && rm -rf /var/lib/apt/lists/* \
    && cargo install cargo-chef --version 0.1.73 --locked
ENV RUSTFLAGS="-C link-arg=-fuse-ld=mold"
WORKDIR /build

FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
COPY --from=plan /build/recipe.json recipe.json
RUN cargo chef cook --release --locked --recipe-path recipe.json -p scrapering -p scrapering-operator
COPY . .
RUN cargo build --release --locked -p scrapering -p scrapering-operator --bins \
    && mkdir /out \
    && cp target/release/scrapering target/release/scrapering-operator /out/

# RocksDB needs libstdc++; there is no shell and no package manager, and the user is 65532.
FROM gcr.io/distroless/cc-debian12:nonroot AS operator
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="scrapering-operator" \
      org.opencontainers.image.description="Keeps ScrapeRings as they are asked for" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/scrapering/scrapering"
COPY --from=build /out/scrapering-operator /usr/local/bin/scrapering-operator
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/scrapering-operator"]
CMD ["run"]

FROM gcr.io/distroless/cc-debian12:nonroot AS node
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="scrapering" \
      org.opencontainers.image.description="A node of a ring that crawls politely" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/scrapering/scrapering"
COPY --from=build /out/scrapering /usr/local/bin/scrapering
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/scrapering"]
