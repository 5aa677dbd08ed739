package main

import (
	"sync"
	"syscall"
	"time"
)

// keyed is what is remembered of one key.
type keyed struct {
	highest  int64
	inFlight int
	held     time.Duration
}

// progress is said often, and so is short.
type progress struct {
	Requests int `json:"requests"`
	Distinct int `json:"distinct"`
	InFlight int `json:"in_flight"`
}

// report is all there is to say. Times are in seconds: since the epoch, but for arrivals, which count from the first.
type report struct {
	progress
	Repeats     int       `json:"repeats"`
	MaxInFlight int       `json:"max_in_flight"`
	Overtaken   int       `json:"overtaken"`
	SideBySide  int       `json:"side_by_side"`
	HottestHeld float64   `json:"hottest_held_s"`
	First       float64   `json:"first_arrival"`
	Last        float64   `json:"last_answer"`
	CPU         float64   `json:"cpu_s"`
	Arrivals    []float64 `json:"arrivals"`
	Held        []float64 `json:"held"`
}

// judge remembers accepted requests. An event is accepted when all of its request has arrived.
type judge struct {
	mutex sync.Mutex
	keys  map[uint64]*keyed
	seen  map[uint64]struct{}
	now   report
	first time.Time
	last  time.Time
}

func newJudge() *judge {
	return &judge{keys: map[uint64]*keyed{}, seen: map[uint64]struct{}{}}
}

// arrive notes a request that will be held for so long, and says when that was.
func (j *judge) arrive(event event, held time.Duration) time.Time {
	arrived := time.Now()
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.now.Requests == 0 {
		j.first = arrived
	}
	j.now.Requests++
	j.now.InFlight++
	if j.now.InFlight > j.now.MaxInFlight {
		j.now.MaxInFlight = j.now.InFlight
	}
	j.now.Arrivals = append(j.now.Arrivals, arrived.Sub(j.first).Seconds())
	j.now.Held = append(j.now.Held, held.Seconds())
	j.compare(event)
	return arrived
}

// compare judges the order. A repeat may come late, that is what makes it a repeat; it counts as such alone.
func (j *judge) compare(event event) {
	key := j.keys[event.key]
	if key == nil {
		key = &keyed{highest: -1}
		j.keys[event.key] = key
	}
	if _, repeated := j.seen[event.id]; repeated {
		j.now.Repeats++
	} else {
		j.seen[event.id] = struct{}{}
		if event.sequence < key.highest {
			j.now.Overtaken++
		} else {
			key.highest = event.sequence
		}
		if key.inFlight > 0 {
			j.now.SideBySide++
		}
	}
	key.inFlight++
}

// answer notes that a request is about to be answered.
func (j *judge) answer(event event, arrived time.Time) {
	now := time.Now()
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.now.InFlight--
	j.last = now
	key := j.keys[event.key]
	key.inFlight--
	key.held += now.Sub(arrived)
	if held := key.held.Seconds(); held > j.now.HottestHeld {
		j.now.HottestHeld = held
	}
}

func (j *judge) progress() progress {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return progress{j.now.Requests, len(j.seen), j.now.InFlight}
}

func (j *judge) report() report {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	said := j.now
	said.Distinct = len(j.seen)
	said.First, said.Last, said.CPU = epoch(j.first), epoch(j.last), cpu()
	// The lists grow on while this one is written.
	said.Arrivals = append([]float64{}, said.Arrivals...)
	said.Held = append([]float64{}, said.Held...)
	return said
}

func epoch(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixNano()) / 1e9
}

func cpu() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}
