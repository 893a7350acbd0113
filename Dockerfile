# The serving image: no torch, no compiler, nobody is root.
#   docker build -t kuapin . && docker run -v ./shop:/shop -p 127.0.0.1:8080:8080 kuapin
FROM python:3.12-slim-bookworm AS build
COPY pyproject.toml constraints.txt README.md LICENSE /source/
COPY src /source/src
RUN python -m venv /opt/kuapin \
 && /opt/kuapin/bin/pip install --no-cache-dir -c /source/constraints.txt '/source[postgres,tracing]'

FROM python:3.12-slim-bookworm
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /home/kuapin --create-home kuapin \
 && install -d -o kuapin -g kuapin /shop
COPY --from=build /opt/kuapin /opt/kuapin
ENV PATH=/opt/kuapin/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
USER 10001:10001
VOLUME /shop
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health/ready', timeout=4)"]
ENTRYPOINT ["kuapin"]
CMD ["serve", "/shop", "--host", "0.0.0.0", "--port", "8080"]
