# A worker: draws, prepares, trains. The wheels of torch bring CUDA; the host brings the driver.
# docker build -f deploy/images/worker.Dockerfile -t voicesketch-worker:0.1.0 --sbom=true .

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY deploy/images/worker.lock /build/
RUN /opt/venv/bin/pip install --require-hashes -r /build/worker.lock

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="voicesketch worker" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility REMAP_SIGTERM=SIGQUIT
RUN mkdir -p /var/cache/voicesketch && chown 10001:10001 /var/cache/voicesketch
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY core core
COPY worker worker
COPY weights weights
COPY deploy/images/voicesketch /usr/local/bin/voicesketch
USER 10001:10001
CMD ["celery", "-A", "worker.app", "worker", "-Q", "gpu", "-n", "worker@%h", "--loglevel", "INFO"]
