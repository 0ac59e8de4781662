// Reads objects of other projects' kinds with the types of these projects. Input: JSON objects, one after the other. Writes one line for each that
// has an unknown field or a wrong type, and exits with 1 when there is one.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

var types = map[string]func() any{
	"cert-manager.io/v1 Certificate":          func() any { return &certmanager.Certificate{} },
	"cert-manager.io/v1 Issuer":               func() any { return &certmanager.Issuer{} },
	"monitoring.coreos.com/v1 PodMonitor":     func() any { return &monitoring.PodMonitor{} },
	"monitoring.coreos.com/v1 PrometheusRule": func() any { return &monitoring.PrometheusRule{} },
	"monitoring.coreos.com/v1 ServiceMonitor": func() any { return &monitoring.ServiceMonitor{} },
}

func main() {
	faults := 0
	input := json.NewDecoder(os.Stdin)
	for {
		var raw json.RawMessage
		err := input.Decode(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = check(raw)
		}
		if err != nil {
			fmt.Println(err)
			faults++
		}
		if raw == nil {
			break
		}
	}
	if faults > 0 {
		os.Exit(1)
	}
}

func check(raw json.RawMessage) error {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return err
	}
	kind := head.APIVersion + " " + head.Kind
	create, found := types[kind]
	if !found {
		return fmt.Errorf("%s %s: unknown kind", kind, head.Metadata.Name)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(create()); err != nil {
		return fmt.Errorf("%s %s: %w", kind, head.Metadata.Name, err)
	}
	return nil
}
