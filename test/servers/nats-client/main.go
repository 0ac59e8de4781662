// A client of NATS: asks itself through the server, with a message of half a megabyte, and prints the answer's length.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

func main() {
	if err := ask(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func ask(url string) error {
	connection, err := nats.Connect(url, nats.Timeout(time.Minute), nats.NoReconnect())
	if err != nil {
		return err
	}
	defer connection.Close()
	if _, err := connection.Subscribe("echo", func(message *nats.Msg) { _ = message.Respond(message.Data) }); err != nil {
		return err
	}
	answer, err := connection.Request("echo", []byte(strings.Repeat("x", 500_000)), time.Minute)
	if err != nil {
		return err
	}
	fmt.Println(len(answer.Data))
	return nil
}
