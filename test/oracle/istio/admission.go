package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	structuralpruning "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/resource"
)

type kindRules struct {
	structural *structuralschema.Structural
	schema     validation.SchemaCreateValidator
	cel        *cel.Validator
}

// admission validates a resource with the CRDs that Istio ships and with its webhook's rules.
type admission struct {
	kinds map[schema.GroupVersionKind]kindRules
}

type review struct {
	rejected, warnings []note
	// config is nil if the resource cannot be decoded.
	config *config.Config
}

func newAdmission(crdFile string) (*admission, error) {
	file, err := os.Open(crdFile)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	out := &admission{kinds: map[schema.GroupVersionKind]kindRules{}}
	decoder := kubeyaml.NewYAMLOrJSONDecoder(file, 512*1024)
	for {
		var definition apiextensionsv1.CustomResourceDefinition
		if err := decoder.Decode(&definition); err == io.EOF {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		if definition.Spec.Group != "security.istio.io" {
			continue
		}
		for _, version := range definition.Spec.Versions {
			rules, err := rulesOf(version)
			if err != nil {
				return nil, err
			}
			out.kinds[schema.GroupVersionKind{Group: definition.Spec.Group, Version: version.Name, Kind: definition.Spec.Names.Kind}] = rules
		}
	}
}

func rulesOf(version apiextensionsv1.CustomResourceDefinitionVersion) (kindRules, error) {
	var internal apiextensions.CustomResourceValidation
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(version.Schema, &internal, nil); err != nil {
		return kindRules{}, err
	}
	validator, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
	if err != nil {
		return kindRules{}, err
	}
	structural, err := structuralschema.NewStructural(internal.OpenAPIV3Schema)
	if err != nil {
		return kindRules{}, err
	}
	return kindRules{structural: structural, schema: validator, cel: cel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
}

// review returns the result of each stage separately. index orders resources in time, seconds apart, in the order of creation.
func (a *admission) review(raw json.RawMessage, index int) review {
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(raw, &object.Object); err != nil {
		return review{rejected: []note{{Stage: "decode", Error: err.Error()}}}
	}
	name := fmt.Sprintf("%s/%s/%s", object.GetKind(), object.GetNamespace(), object.GetName())
	out := review{}
	reject := func(stage string, err error) {
		out.rejected = append(out.rejected, note{Resource: name, Stage: stage, Error: err.Error()})
	}
	pruned, err := a.byDefinition(object)
	if err != nil {
		reject("crd", err)
	}
	out.config, err = decode(pruned, index)
	if err != nil {
		reject("decode", err)
		return out
	}
	kind, _ := schemaOf(object)
	warning, err := kind.ValidateConfig(*out.config)
	if err != nil {
		reject("webhook", err)
	}
	if warning != nil {
		out.warnings = append(out.warnings, note{Resource: name, Stage: "webhook", Error: warning.Error()})
	}
	return out
}

// byDefinition applies schema and CEL rules, and returns the object that the API server stores.
func (a *admission) byDefinition(object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	rules, found := a.kinds[object.GroupVersionKind()]
	if !found {
		return object, fmt.Errorf("no definition of %v", object.GroupVersionKind())
	}
	pruned := object.DeepCopy()
	structuralpruning.Prune(pruned.Object, rules.structural, true)
	if err := validation.ValidateCustomResource(nil, pruned.Object, rules.schema).ToAggregate(); err != nil {
		return pruned, err
	}
	errs, _ := rules.cel.Validate(context.Background(), nil, rules.structural, pruned.Object, nil, celconfig.RuntimeCELCostBudget)
	if err := errs.ToAggregate(); err != nil {
		return pruned, err
	}
	return pruned, nil
}

func decode(object *unstructured.Unstructured, index int) (*config.Config, error) {
	kind, err := schemaOf(object)
	if err != nil {
		return nil, err
	}
	raw, err := object.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var parsed crd.IstioKind
	if err := json.Unmarshal(raw, &parsed); err != nil {
		return nil, err
	}
	if parsed.CreationTimestamp.IsZero() {
		parsed.CreationTimestamp = metav1.NewTime(time.Date(2026, 1, 1, 0, 0, index, 0, time.UTC))
	}
	return crd.ConvertObject(kind, &parsed, "cluster.local")
}

func schemaOf(object *unstructured.Unstructured) (resource.Schema, error) {
	kind := object.GroupVersionKind()
	found, exists := collections.Pilot.FindByGroupKind(resource.FromKubernetesGVK(&kind))
	if !exists {
		return nil, fmt.Errorf("unrecognized type %v", kind)
	}
	return found, nil
}
