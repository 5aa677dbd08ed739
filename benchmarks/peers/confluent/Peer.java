import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.vertx.VertxParallelEoSStreamProcessor;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.net.PemTrustOptions;
import io.vertx.ext.web.client.WebClient;
import io.vertx.ext.web.client.WebClientOptions;
import java.net.URI;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Confluent Parallel Consumer as a process: events from a topic to an endpoint, in order by key, so many at once.
 *
 * <p>Arguments: brokers, topic, group, URL, concurrency, and, or empty: the PEM file of a CA, the session's timeout in ms.
 */
public final class Peer {
    public static void main(String[] arguments) {
        URI url = URI.create(arguments[3]);
        int concurrency = Integer.parseInt(arguments[4]);
        boolean tls = url.getScheme().equals("https");

        WebClientOptions http = new WebClientOptions().setMaxPoolSize(concurrency).setSsl(tls);
        if (tls) {
            http.setPemTrustOptions(new PemTrustOptions().addCertPath(arguments[5]));
        }
        Vertx vertx = Vertx.vertx();
        WebClient client = WebClient.create(vertx, http);

        var options = ParallelConsumerOptions.<byte[], byte[]>builder()
                .consumer(consumer(arguments[0], arguments[2], arguments[6]))
                .ordering(ProcessingOrder.KEY)
                .maxConcurrency(concurrency)
                .build();
        var processor = new VertxParallelEoSStreamProcessor<byte[], byte[]>(vertx, client, options);
        processor.subscribe(List.of(arguments[1]));
        processor.vertxHttpWebClient(
                (web, context) -> web.post(url.getPort(), url.getHost(), url.getPath())
                        .putHeader("Content-Type", "application/json")
                        .sendBuffer(Buffer.buffer(context.value())),
                sent -> {});
    }

    private static KafkaConsumer<byte[], byte[]> consumer(String brokers, String group, String sessionMs) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        settings.put("group.id", group);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        if (!sessionMs.isEmpty()) {
            settings.put("session.timeout.ms", sessionMs);
        }
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }
}
