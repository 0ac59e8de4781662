// A receiver of the OpenTelemetry Collector that prints what it gets: the address first, then one line of OTLP JSON for each request.
// With an argument, a request whose number (from 1) is not above it is refused as the receiver does when the pipeline cannot take more.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configgrpc"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) < 2 {
		return errors.New("usage: otlp-receiver ADDRESS [REFUSED]")
	}
	refused := 0
	if len(os.Args) > 2 {
		var err error
		if refused, err = strconv.Atoi(os.Args[2]); err != nil {
			return err
		}
	}
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig().(*otlpreceiver.Config)
	config.Protocols.GRPC = configoptional.None[configgrpc.ServerConfig]()
	http := config.Protocols.HTTP.GetOrInsertDefault()
	http.ServerConfig.NetAddr.Endpoint = os.Args[1]
	marshaler := &ptrace.JSONMarshaler{}
	var requests atomic.Int64
	traces, err := consumer.NewTraces(func(_ context.Context, data ptrace.Traces) error {
		if requests.Add(1) <= int64(refused) {
			return errors.New("the pipeline is full")
		}
		line, err := marshaler.MarshalTraces(data)
		if err == nil {
			fmt.Println(string(line))
		}
		return err
	})
	if err != nil {
		return err
	}
	one, err := factory.CreateTraces(context.Background(), receivertest.NewNopSettings(component.MustNewType("otlp")), config, traces)
	if err != nil {
		return err
	}
	if err := start(one); err != nil {
		return err
	}
	fmt.Println("listens")
	// The parent closes standard input.
	_, _ = os.Stdin.Read(make([]byte, 1))
	return one.Shutdown(context.Background())
}

func start(one receiver.Traces) error {
	return one.Start(context.Background(), componenttest.NewNopHost())
}
