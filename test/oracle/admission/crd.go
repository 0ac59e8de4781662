package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	structuraldefaulting "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	structurallisttype "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	schemaobjectmeta "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	structuralpruning "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// crdLayer is the API server's state for one version of a custom resource.
type crdLayer struct {
	schema     validation.SchemaValidator
	structural *structuralschema.Structural
	cel        *cel.Validator
}

type crdLayers map[schema.GroupVersionKind]crdLayer

func readCrds(path string) (crdLayers, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	layers := crdLayers{}
	decoder := kubeyaml.NewYAMLOrJSONDecoder(file, 1<<20)
	for {
		crd := apiextensionsv1.CustomResourceDefinition{}
		if err := decoder.Decode(&crd); errors.Is(err, io.EOF) {
			return layers, nil
		} else if err != nil {
			return nil, err
		}
		kind := crd.Spec.Names.Kind
		if kind != "RequestAuthentication" && kind != "AuthorizationPolicy" {
			continue
		}
		for _, version := range crd.Spec.Versions {
			layer, err := newCrdLayer(version)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", kind, version.Name, err)
			}
			layers[schema.GroupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: kind}] = layer
		}
	}
}

func newCrdLayer(version apiextensionsv1.CustomResourceDefinitionVersion) (crdLayer, error) {
	internal := &apiextensions.CustomResourceValidation{}
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(version.Schema, internal, nil); err != nil {
		return crdLayer{}, err
	}
	validator, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
	if err != nil {
		return crdLayer{}, err
	}
	structural, err := structuralschema.NewStructural(internal.OpenAPIV3Schema)
	if err != nil {
		return crdLayer{}, err
	}
	return crdLayer{schema: validator, structural: structural, cel: cel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
}

// decode reads an object like the API server: it removes unknown fields and meaningless nulls, and types the metadata.
// See unstructuredSchemaCoercer of the API server, which is not exported.
func (layers crdLayers) decode(line []byte) (*unstructured.Unstructured, error) {
	content := map[string]interface{}{}
	if err := json.Unmarshal(line, &content); err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{Object: content}
	apiVersion, foundVersion, err := unstructured.NestedString(content, "apiVersion")
	if err != nil {
		return nil, err
	}
	kind, foundKind, err := unstructured.NestedString(content, "kind")
	if err != nil {
		return nil, err
	}
	meta, foundMeta, _, err := schemaobjectmeta.GetObjectMetaWithOptions(content, schemaobjectmeta.ObjectMetaOptions{})
	if err != nil {
		return nil, err
	}
	layer, served := layers[object.GroupVersionKind()]
	if !served {
		return object, nil
	}
	structuralpruning.Prune(content, layer.structural, true)
	structuraldefaulting.PruneNonNullableNullsWithoutDefaults(content, layer.structural)
	if foundKind {
		object.SetKind(kind)
	}
	if foundVersion {
		object.SetAPIVersion(apiVersion)
	}
	if foundMeta {
		if err := schemaobjectmeta.SetObjectMeta(content, meta); err != nil {
			return nil, err
		}
	}
	return object, nil
}

// validate returns the errors of the API server's strategy for custom resources, except those of the metadata.
func (layers crdLayers) validate(object *unstructured.Unstructured) []string {
	layer, served := layers[object.GroupVersionKind()]
	if !served {
		return []string{fmt.Sprintf("apiVersion: no kind %s in version %q", object.GetKind(), object.GetAPIVersion())}
	}
	errs := validation.ValidateCustomResource(nil, object.Object, layer.schema)
	errs = append(errs, structurallisttype.ValidateListSetsAndMaps(nil, layer.structural, object.Object)...)
	if !isBlocking(errs) {
		broken, _ := layer.cel.Validate(context.Background(), nil, layer.structural, object.Object, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, broken...)
	}
	texts := []string{}
	for _, err := range errs {
		texts = append(texts, err.Error())
	}
	sort.Strings(texts)
	return texts
}

// isBlocking reports whether CEL rules are not evaluated. See hasBlockingErr of the API server's strategy, which is not exported.
func isBlocking(errs field.ErrorList) bool {
	for _, err := range errs {
		switch err.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return true
		}
	}
	return false
}
