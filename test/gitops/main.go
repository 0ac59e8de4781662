// Determines the health of objects as the GitOps tools do: the health script with Argo CD's Lua interpreter, the health expressions with Flux's own evaluator
// (cel-go), and kstatus without either. Reads one JSON document from stdin, and writes one result for each object.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type input struct {
	// Script for each kind.
	Scripts map[string]string             `json:"scripts"`
	Checks  []kustomize.CustomHealthCheck `json:"checks"`
	Objects []map[string]interface{}      `json:"objects"`
}

type result struct {
	Argo    string `json:"argo"`
	Message string `json:"message"`
	Flux    string `json:"flux"`
	Kstatus string `json:"kstatus"`
}

func main() {
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		log.Fatal(err)
	}
	evaluators := map[string]*cel.StatusEvaluator{}
	for _, check := range in.Checks {
		exprs := check.HealthCheckExpressions
		evaluator, err := cel.NewStatusEvaluator(&exprs)
		if err != nil {
			log.Fatal(err)
		}
		evaluators[check.Kind] = evaluator
	}
	results := []result{}
	for _, content := range in.Objects {
		object := &unstructured.Unstructured{Object: normalized(content).(map[string]interface{})}
		health, message := argo(in.Scripts[object.GetKind()], object)
		// An expression that cannot be evaluated leaves the object unknown, and Flux goes on waiting.
		judged := status.UnknownStatus
		if flux, err := evaluators[object.GetKind()].Evaluate(context.Background(), object); err == nil {
			judged = flux.Status
		}
		plain, err := status.Compute(object)
		if err != nil {
			log.Fatal(err)
		}
		results = append(results, result{health, message, judged.String(), plain.Status.String()})
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		log.Fatal(err)
	}
}

// normalized has integers as int64, as in objects of an API server.
func normalized(value interface{}) interface{} {
	switch typed := value.(type) {
	case map[string]interface{}:
		for key, member := range typed {
			typed[key] = normalized(member)
		}
	case []interface{}:
		for at, member := range typed {
			typed[at] = normalized(member)
		}
	case float64:
		return int64(typed)
	}
	return value
}

// argo runs a script as util/lua of Argo CD does: with few libraries, the object as `obj`, and one table as the result.
func argo(script string, object *unstructured.Unstructured) (string, string) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		state.Push(state.NewFunction(library.open))
		state.Push(lua.LString(library.name))
		state.Call(1, 0)
	}
	state.SetGlobal("obj", toLua(state, object.Object))
	if err := state.DoString(script); err != nil {
		log.Fatal(err)
	}
	table, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		log.Fatalf("the script returns %s", state.Get(-1).Type())
	}
	return fmt.Sprint(table.RawGetString("status")), fmt.Sprint(table.RawGetString("message"))
}

func toLua(state *lua.LState, value interface{}) lua.LValue {
	switch typed := value.(type) {
	case map[string]interface{}:
		table := state.NewTable()
		for key, member := range typed {
			table.RawSetString(key, toLua(state, member))
		}
		return table
	case []interface{}:
		table := state.NewTable()
		for _, member := range typed {
			table.Append(toLua(state, member))
		}
		return table
	case string:
		return lua.LString(typed)
	case bool:
		return lua.LBool(typed)
	case int64:
		return lua.LNumber(typed)
	}
	return lua.LNil
}
