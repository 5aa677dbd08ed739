// The endpoint of the comparison: HTTP/1.1 requests come in, each is answered 200 after a latency, and the judge
// remembers what came, when, and in which order. It parses no more than it needs, so that it is never the limit.
//
// It says its port and its control port on the first line it prints. GET /progress on the control port gives counts,
// GET /report all that the judge knows, as JSON.
package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"runtime"
	"time"
)

const answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

func main() {
	latency := flag.String("latency", "5ms", "of every answer, such as 5ms; or lognormal: median 50 ms, p99 500 ms")
	seed := flag.Uint64("seed", 1, "other latencies for the same events")
	cert := flag.String("cert", "", "PEM file of a certificate: with it, TLS")
	key := flag.String("key", "", "PEM file of its key")
	flag.Parse()

	// One core at the most: the other one is the contestant's and the broker's.
	runtime.GOMAXPROCS(1)
	delay, err := newDelay(*latency, *seed)
	if err != nil {
		log.Fatal(err)
	}
	requests, err := listen(*cert, *key)
	if err != nil {
		log.Fatal(err)
	}
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	judge := newJudge()
	go serveControl(control, judge)
	fmt.Println(port(requests), port(control))
	for {
		connection, err := requests.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(connection, delay, judge)
	}
}

func listen(cert, key string) (net.Listener, error) {
	if cert == "" {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	return tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair},
		NextProtos:   []string{"http/1.1"},
	})
}

func port(listener net.Listener) int {
	return listener.Addr().(*net.TCPAddr).Port
}

// serve answers one connection's requests, one after another. A request is held even when its sender has gone: it was
// accepted.
func serve(connection net.Conn, delay delay, judge *judge) {
	defer connection.Close()
	reader := bufio.NewReaderSize(connection, 8192)
	for {
		body, err := readRequest(reader)
		if err != nil {
			return
		}
		event := parseEvent(body)
		held := delay(event.id)
		arrived := judge.arrive(event, held)
		time.Sleep(held)
		judge.answer(event, arrived)
		if _, err := connection.Write([]byte(answer)); err != nil {
			return
		}
	}
}

func serveControl(listener net.Listener, judge *judge) {
	write := func(get func() any) http.HandlerFunc {
		return func(response http.ResponseWriter, _ *http.Request) {
			response.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(response).Encode(get())
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/progress", write(func() any { return judge.progress() }))
	mux.HandleFunc("/report", write(func() any { return judge.report() }))
	log.Fatal(http.Serve(listener, mux))
}
