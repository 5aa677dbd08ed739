package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http/httputil"
	"strconv"
)

const maxBody = 16 << 20

var errNoLength = errors.New("a request without a usable length")

// readRequest reads one request and returns its body: by its Content-Length, or chunked.
func readRequest(reader *bufio.Reader) ([]byte, error) {
	if _, err := reader.ReadSlice('\n'); err != nil {
		return nil, err
	}
	length, chunked := 0, false
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 || length > maxBody {
				return nil, errNoLength
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			chunked = true
		}
	}
	if chunked {
		return readChunks(reader)
	}
	body := make([]byte, length)
	_, err := io.ReadFull(reader, body)
	return body, err
}

func readChunks(reader *bufio.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(httputil.NewChunkedReader(reader), maxBody))
	if err != nil {
		return nil, err
	}
	// The empty line after the last chunk.
	_, err = reader.ReadSlice('\n')
	return body, err
}
