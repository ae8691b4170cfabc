# heed in a container: built in one stage, run in another that has no compiler. Both use the scripts a person uses.
#
#     docker build -t heed . && docker run --rm -p 8080:8080 heed
#
# Settings are HEED_* variables, or a heed.json with what it names: -v "$PWD/mine:/etc/heed:ro".

FROM debian:12-slim AS build
WORKDIR /heed
COPY script/install script/packages script/
RUN script/install build
COPY . .
RUN script/build

FROM debian:12-slim
COPY script/install script/packages /tmp/script/
RUN /tmp/script/install run && rm -r /tmp/script /var/lib/apt/lists/*
COPY --from=build /heed/build/server/heed /usr/local/bin/heed
COPY --from=build /heed/NOTICE /heed/config/models/heed-s.md /usr/local/share/doc/heed/
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["heed", "healthcheck"]
ENTRYPOINT ["heed"]
CMD ["serve"]
