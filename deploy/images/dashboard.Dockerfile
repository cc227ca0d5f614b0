# The dashboard, the ticker and the one-time preparation: no torch, no media libraries.
# docker build -f deploy/images/dashboard.Dockerfile -t voicesketch-dashboard:0.1.0 --sbom=true .

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY deploy/images/dashboard.lock /build/
RUN /opt/venv/bin/pip install --require-hashes --only-binary :all: -r /build/dashboard.lock

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="voicesketch dashboard" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
RUN mkdir -p /var/cache/voicesketch && chown 10001:10001 /var/cache/voicesketch
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY core core
COPY dashboard dashboard
COPY migrations migrations
COPY weights/default weights/default
COPY deploy/images/voicesketch /usr/local/bin/voicesketch
USER 10001:10001
EXPOSE 8000
CMD ["gunicorn", "-c", "python:dashboard.gunicorn_config", "-b", "0.0.0.0:8000", "dashboard.wsgi:app"]
