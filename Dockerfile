# The service in a container: docker build -t facerec . && docker run -p 127.0.0.1:8000:8000 -v facerec:/data facerec
FROM python:3.12-slim

RUN useradd --create-home facerec && mkdir /data && chown facerec /data
WORKDIR /app
COPY constraints.txt pyproject.toml README.md LICENSE NOTICE serve_config.yaml ./
COPY facerec_models facerec_models
COPY serving serving
COPY training training
COPY ui ui
RUN pip install --no-cache-dir --constraint constraints.txt .

USER facerec
ENV FACEREC_HOME=/data XDG_CACHE_HOME=/data/cache RAY_USAGE_STATS_ENABLED=0 OMP_WAIT_POLICY=PASSIVE
EXPOSE 8000
HEALTHCHECK --start-period=2m CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz')"]
# Inside the container the service must listen on its own interface; publish the port to 127.0.0.1 only, as above.
CMD ["facerec", "serve", "--no-ui", "--host", "0.0.0.0"]
