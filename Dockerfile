# docker build -t ws-emit .
# docker run -d --restart unless-stopped -p 8899:8899 -e REDIS=redis://db:6379/0 -e CORS=https://www.example.org ws-emit
# Set the variables of contrib/ws-emit, or give options: docker run ws-emit --cors https://www.example.org
FROM swift:6.3-bookworm AS build
# Debian's stable release already pins versions.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libhiredis-dev make python3 zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /usr/src/ws-emit
COPY . .
RUN make install PREFIX=/usr DESTDIR=/installed

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libhiredis0.14 libstdc++6 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /installed/usr/bin/ /usr/bin/
# The program needs no files of its own, so any unprivileged user works.
USER 65534:65534
EXPOSE 8899
ENTRYPOINT ["ws-emit"]
