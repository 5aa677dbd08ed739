#!/bin/bash
# As the published image does: KAFKA_NODE_ID=1 becomes node.id=1 in server.properties; then format and run.
set -euo pipefail
cd /data
printf 'log.dirs=/data/log\n' >server.properties
env | grep '^KAFKA_' | while IFS='=' read -r name value; do
  key=${name#KAFKA_}
  key=${key//_/.}
  printf '%s=%s\n' "${key,,}" "$value"
done >>server.properties
java=(java -Xmx512m -XX:+UseSerialGC -Dlog4j2.configurationFile=/opt/kafka/log4j2.xml -cp '/opt/kafka/libs/*')
if [[ ! -d log ]]; then
  "${java[@]}" kafka.tools.StorageTool format --cluster-id AAAAAAAAAAAAAAAAAAAAAA --config server.properties
fi
exec "${java[@]}" kafka.Kafka server.properties
