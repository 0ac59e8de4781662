// Command istio decides what Istio itself does with policies: which of them admission rejects, and the Envoy listener that
// istiod compiles for a workload. Reads one case per line from stdin, as JSON in the records' form, and writes one result per line.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/encoding/protojson"

	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/core"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/test"
)

type caseFile struct {
	Name          string            `json:"name"`
	MeshConfig    json.RawMessage   `json:"meshConfig"`
	IstioFeatures map[string]any    `json:"istioFeatures"`
	Workload      workload          `json:"workload"`
	JwksServers   map[string]string `json:"jwksServers"`
	ApplyInvalid  bool              `json:"applyInvalid"`
	Resources     []json.RawMessage `json:"resources"`
}

type workload struct {
	Name                string            `json:"name"`
	Namespace           string            `json:"namespace"`
	Labels              map[string]string `json:"labels"`
	ServiceAccount      string            `json:"serviceAccount"`
	IP                  string            `json:"ip"`
	Ports               []workloadPort    `json:"ports"`
	ValidateTrustDomain bool              `json:"validateTrustDomain"`
}

type workloadPort struct {
	Number     int    `json:"number"`
	Protocol   string `json:"protocol"`
	Undeclared bool   `json:"undeclared"`
}

// note is one error or warning of admission, in the records' form.
type note struct {
	Resource string `json:"resource"`
	Stage    string `json:"stage"`
	Error    string `json:"error"`
}

type answer struct {
	Rejected []note          `json:"rejected,omitempty"`
	Warnings []note          `json:"warnings,omitempty"`
	Listener json.RawMessage `json:"listener,omitempty"`
	// Fault is the failure of the oracle itself.
	Fault string `json:"fault,omitempty"`
}

func main() {
	quiet()
	admission, err := newAdmission(filepath.Join(os.Args[1], "crd-all.gen.yaml"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := out.Encode(answerLine(admission, lines.Bytes())); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// quiet turns off istiod's logging, because stdout is for results.
func quiet() {
	options := log.DefaultOptions()
	options.SetDefaultOutputLevel(log.OverrideScopeName, log.NoneLevel)
	options.OutputPaths = []string{"stderr"}
	_ = log.Configure(options)
}

func answerLine(admission *admission, line []byte) (out answer) {
	defer func() {
		if cause := recover(); cause != nil {
			out.Fault = fmt.Sprint(cause)
		}
	}()
	var in caseFile
	if err := json.Unmarshal(line, &in); err != nil {
		return answer{Fault: err.Error()}
	}
	var applied []config.Config
	for index, raw := range in.Resources {
		result := admission.review(raw, index)
		out.Rejected = append(out.Rejected, result.rejected...)
		out.Warnings = append(out.Warnings, result.warnings...)
		if result.config != nil && (len(result.rejected) == 0 || in.ApplyInvalid) {
			applied = append(applied, *result.config)
		}
	}
	listener, err := compile(&in, applied)
	if err != nil {
		out.Fault = err.Error()
		return out
	}
	out.Listener = listener
	return out
}

// compile returns the workload's inbound listener as istiod sends it.
func compile(in *caseFile, applied []config.Config) (json.RawMessage, error) {
	mesh, err := meshOf(in.MeshConfig)
	if err != nil {
		return nil, err
	}
	features.EnableMultipleCustomAuthzProviders = in.IstioFeatures["PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS"] == true
	features.SkipValidateTrustDomain = !in.Workload.ValidateTrustDomain
	var inbound json.RawMessage
	failed := test.Wrap(func(t test.Failer) {
		services, instances := servicesOf(in, mesh)
		generator := core.NewConfigGenTest(t, core.TestOptions{
			Configs: applied, MeshConfig: mesh, Services: services, Instances: instances,
		})
		generator.PushContext().JwtKeyResolver = resolverOf(in.JwksServers)
		proxy := generator.SetupProxy(proxyOf(in))
		for _, listener := range generator.Listeners(proxy) {
			if listener.Name == model.VirtualInboundListenerName {
				inbound, err = protojson.Marshal(listener)
			}
		}
	})
	if failed != nil {
		return nil, failed
	}
	return inbound, err
}
