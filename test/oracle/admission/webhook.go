package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	admission "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/webhooks/validation/server"
)

// verdict is the response of Istio's webhook.
type verdict struct {
	Allowed  bool     `json:"allowed"`
	Message  string   `json:"message,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// Broken is set if the webhook did not respond.
	Broken string `json:"broken,omitempty"`
}

// webhook is the handler that istiod serves at /validate.
type webhook struct{ handler http.Handler }

func newWebhook() (*webhook, error) {
	mux := http.NewServeMux()
	_, err := server.New(server.Options{Schemas: collections.PilotGatewayAPI(), DomainSuffix: "cluster.local", Mux: mux})
	return &webhook{handler: mux}, err
}

func (w *webhook) review(object []byte) (result verdict) {
	defer func() {
		if reason := recover(); reason != nil {
			result = verdict{Broken: fmt.Sprint(reason)}
		}
	}()
	body, err := json.Marshal(admission.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request:  requestFor(object),
	})
	if err != nil {
		return verdict{Broken: err.Error()}
	}
	request := httptest.NewRequest(http.MethodPost, "/validate", bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, request)
	reply := admission.AdmissionReview{}
	if err := json.Unmarshal(recorder.Body.Bytes(), &reply); err != nil || reply.Response == nil {
		return verdict{Broken: fmt.Sprintf("%d %s", recorder.Code, recorder.Body)}
	}
	result = verdict{Allowed: reply.Response.Allowed, Warnings: reply.Response.Warnings}
	if reply.Response.Result != nil {
		result.Message = reply.Response.Result.Message
	}
	return result
}

func requestFor(object []byte) *admission.AdmissionRequest {
	head := metav1.PartialObjectMetadata{}
	// An object that cannot be decoded has no kind and no namespace; the webhook reports the error.
	_ = json.Unmarshal(object, &head)
	group := head.GroupVersionKind()
	return &admission.AdmissionRequest{
		UID:       types.UID("1"),
		Kind:      metav1.GroupVersionKind{Group: group.Group, Version: group.Version, Kind: group.Kind},
		Name:      head.Name,
		Namespace: head.Namespace,
		Operation: admission.Create,
		Object:    runtime.RawExtension{Raw: object},
	}
}
