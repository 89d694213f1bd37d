# syntax=docker/dockerfile:1
# Two stages: the first installs into a virtual environment, the second holds only that and an interpreter.
#
#   docker build -t pointsman:0.1.0 .
#   docker run --read-only --cap-drop ALL -p 8000:8000 pointsman:0.1.0 run --entryPoints.web.address=:8000 ...
#
# etc/check-dockerfile runs the same installation steps without a container engine.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# For the one part in C. Without a compiler the installation works too, at half the speed.
RUN command -v cc >/dev/null \
 || { apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev; }
RUN python -m venv /opt/pointsman
WORKDIR /src
# Dependencies first: their layer stays in the cache while only our code changes.
COPY pyproject.toml README.md LICENSE ./
RUN mkdir config provider workers tls master \
 && /opt/pointsman/bin/pip install '.[redis,http3]' \
 && /opt/pointsman/bin/pip uninstall --yes pointsman \
 && rm -rf config provider workers tls master build
COPY config config
COPY provider provider
COPY workers workers
COPY tls tls
COPY master master
COPY setup.py ./
RUN /opt/pointsman/bin/pip install --no-deps . \
 && /opt/pointsman/bin/pip uninstall --yes pip setuptools

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="pointsman" \
      org.opencontainers.image.description="An edge proxy for Kubernetes that serves Traefik's custom resources" \
      org.opencontainers.image.licenses="MIT"
COPY --from=builder /opt/pointsman /opt/pointsman
ENV PATH=/opt/pointsman/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# The id that Traefik's Helm chart uses; it needs no entry in /etc/passwd. Ports below 1024 would need
# NET_BIND_SERVICE, so the entry points of the samples are above.
USER 65532:65532
WORKDIR /
EXPOSE 8000 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["pointsman"]
CMD ["run"]
