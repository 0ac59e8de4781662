// Admission of RequestAuthentications and AuthorizationPolicies by Istio's own code and the API server's own library.
// Reads one Kubernetes object in JSON per line from stdin and writes one JSON result per line, in the same order. The first
// argument is the path of Istio's CRDs (manifests/charts/base/files/crd-all.gen.yaml).
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"istio.io/istio/pkg/log"
)

type answer struct {
	// Unreadable is why the body is not an object; nothing else is set then.
	Unreadable string `json:"unreadable,omitempty"`
	// Crd holds the errors of schema and CEL rules, as the API server prints them.
	Crd []string `json:"crd"`
	// Stored is the object as etcd would hold it: without unknown fields and nulls.
	Stored json.RawMessage `json:"stored,omitempty"`
	// Raw is the webhook's response to the original object, as if there were no CRD.
	Raw verdict `json:"raw"`
	// Pruned is the webhook's response to Stored, which is what the API server sends.
	Pruned verdict `json:"pruned"`
}

const maxLine = 64 << 20

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: %s CRDS.yaml < objects > answers", os.Args[0]))
	}
	silenceLogs()
	layers, err := readCrds(os.Args[1])
	if err != nil {
		fail(err)
	}
	webhook, err := newWebhook()
	if err != nil {
		fail(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), maxLine)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for lines.Scan() {
		if err := encoder.Encode(judge(layers, webhook, lines.Bytes())); err != nil {
			fail(err)
		}
	}
	if err := lines.Err(); err != nil {
		fail(err)
	}
	if err := out.Flush(); err != nil {
		fail(err)
	}
}

func judge(layers crdLayers, webhook *webhook, line []byte) answer {
	object, err := layers.decode(line)
	if err != nil {
		return answer{Unreadable: err.Error(), Raw: webhook.review(line)}
	}
	crd := layers.validate(object)
	stored, err := json.Marshal(object.Object)
	if err != nil {
		return answer{Unreadable: err.Error()}
	}
	return answer{Crd: crd, Stored: stored, Raw: webhook.review(line), Pruned: webhook.review(stored)}
}

func silenceLogs() {
	options := log.DefaultOptions()
	options.SetDefaultOutputLevel(log.OverrideScopeName, log.NoneLevel)
	if err := log.Configure(options); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
