package main

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"
)

const (
	median = 0.05
	p99    = 0.5
	// The 99th percentile of the standard normal distribution.
	z99 = 2.326
)

// event is what the judge must know of a body. Ids are hashes: 64 bits tell a million events apart.
type event struct {
	id, key  uint64
	sequence int64
}

// parseEvent finds the messageId, the userId and the sequence number by their names: decoding every body would make
// the endpoint the limit.
func parseEvent(body []byte) event {
	sequence, err := strconv.ParseInt(string(after(body, `"sequence":`, ",}")), 10, 64)
	if err != nil {
		sequence = -1
	}
	return event{hash(after(body, `"messageId":"`, `"`)), hash(after(body, `"userId":"`, `"`)), sequence}
}

func after(body []byte, name, ends string) []byte {
	begin := bytes.Index(body, []byte(name))
	if begin < 0 {
		return nil
	}
	text := body[begin+len(name):]
	if end := bytes.IndexAny(text, ends); end >= 0 {
		return text[:end]
	}
	return nil
}

// hash is FNV-1a.
func hash(text []byte) uint64 {
	sum := uint64(14695981039346656037)
	for _, char := range text {
		sum = (sum ^ uint64(char)) * 1099511628211
	}
	return sum
}

// delay says how long an event's request is held. It depends on the event alone, not on when it comes: all contestants
// meet the same latencies, in whatever order they send.
type delay func(id uint64) time.Duration

func newDelay(latency string, seed uint64) (delay, error) {
	if latency == "lognormal" {
		return func(id uint64) time.Duration { return lognormal(mixed(id ^ mixed(seed))) }, nil
	}
	fixed, err := time.ParseDuration(latency)
	if err != nil || fixed < 0 {
		return nil, fmt.Errorf("no latency: %q", latency)
	}
	return func(uint64) time.Duration { return fixed }, nil
}

// lognormal turns 64 random bits into a latency, by the Box-Muller transform.
func lognormal(bits uint64) time.Duration {
	first := (float64(bits>>32) + 1) / (1 << 32)
	second := float64(bits&math.MaxUint32) / (1 << 32)
	normal := math.Sqrt(-2*math.Log(first)) * math.Cos(2*math.Pi*second)
	seconds := median * math.Exp(math.Log(p99/median)/z99*normal)
	return time.Duration(seconds * float64(time.Second))
}

// mixed spreads neighbouring numbers over all 64 bits (splitmix64).
func mixed(bits uint64) uint64 {
	bits += 0x9e3779b97f4a7c15
	bits = (bits ^ bits>>30) * 0xbf58476d1ce4e5b9
	bits = (bits ^ bits>>27) * 0x94d049bb133111eb
	return bits ^ bits>>31
}
