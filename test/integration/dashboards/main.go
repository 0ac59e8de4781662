// Checks dashboards with the types that Grafana generates from its schemas: unknown and missing fields, wrong types, broken constraints, and
// panels and queries of plugins that are not known. Arguments: files. Writes one fault per line, and exits with 1 when there is one.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	runtime := cog.NewRuntime()
	runtime.RegisterPanelcfgVariant(stat.VariantConfig())
	runtime.RegisterPanelcfgVariant(table.VariantConfig())
	runtime.RegisterPanelcfgVariant(timeseries.VariantConfig())
	runtime.RegisterDataqueryVariant(prometheus.VariantConfig())
	faults := 0
	for _, file := range os.Args[1:] {
		for _, fault := range check(file) {
			fmt.Printf("%s: %s\n", file, fault)
			faults++
		}
	}
	if faults > 0 {
		os.Exit(1)
	}
}

func check(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return []string{err.Error()}
	}
	var strict, model dashboard.Dashboard
	if faults := faultsOf(strict.UnmarshalJSONStrict(text)); len(faults) > 0 {
		return faults
	}
	// What is read strictly has no queries and options.
	if err := json.Unmarshal(text, &model); err != nil {
		return []string{err.Error()}
	}
	faults := faultsOf(model.Validate())
	for at, one := range model.Panels {
		path := fmt.Sprintf("panels[%d]", at)
		panel := one.Panel
		if panel == nil {
			faults = append(faults, path+": a row")
			continue
		}
		if _, found := cog.ConfigForPanelcfgVariant(panel.Type); !found {
			faults = append(faults, path+": unknown type "+panel.Type)
		}
		if len(panel.Targets) == 0 {
			faults = append(faults, path+": no query")
		}
		for number, target := range panel.Targets {
			query, isQuery := target.(*prometheus.Dataquery)
			if !isQuery || query.Datasource == nil || query.Datasource.Type == nil || *query.Datasource.Type != "prometheus" {
				faults = append(faults, fmt.Sprintf("%s.targets[%d]: not a query of Prometheus", path, number))
			}
		}
	}
	return append(faults, fieldFaults(text)...)
}

// The fields of panels, which the strict reader of panels reads leniently.
func fieldFaults(text []byte) []string {
	var raw struct {
		Panels []struct {
			FieldConfig json.RawMessage `json:"fieldConfig"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return []string{err.Error()}
	}
	var faults []string
	for at, panel := range raw.Panels {
		var fields dashboard.FieldConfigSource
		for _, fault := range faultsOf(fields.UnmarshalJSONStrict(panel.FieldConfig)) {
			faults = append(faults, fmt.Sprintf("panels[%d].fieldConfig.%s", at, fault))
		}
	}
	return faults
}

// The library also returns errors without faults.
func faultsOf(err error) []string {
	var faults []string
	var found cog.BuildErrors
	if errors.As(err, &found) {
		for _, fault := range found {
			faults = append(faults, fault.Error())
		}
	} else if err != nil {
		faults = append(faults, err.Error())
	}
	return faults
}
