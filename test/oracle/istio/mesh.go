package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unsafe"

	meshconfig "istio.io/api/mesh/v1alpha1"

	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config/host"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/protocol"
)

// noSuchService is the name prefix of ext_authz services that are not in the registry.
const noSuchService = "no-such."

func meshOf(overlay json.RawMessage) (*meshconfig.MeshConfig, error) {
	if len(overlay) == 0 {
		return mesh.DefaultMeshConfig(), nil
	}
	return mesh.ApplyMeshConfigDefaults(string(overlay))
}

func proxyOf(in *caseFile) *model.Proxy {
	w := in.Workload
	return &model.Proxy{
		ID:              w.Name + "." + w.Namespace,
		Type:            model.SidecarProxy,
		IPAddresses:     []string{w.IP},
		ConfigNamespace: w.Namespace,
		Labels:          w.Labels,
		Metadata: &model.NodeMetadata{
			Namespace: w.Namespace, Labels: w.Labels, ServiceAccount: w.ServiceAccount, IstioVersion: "1.31.0",
		},
	}
}

// servicesOf returns the workload's Service, with one port per declared port, and one Service per ext_authz provider.
func servicesOf(in *caseFile, config *meshconfig.MeshConfig) ([]*model.Service, []*model.ServiceInstance) {
	own := service(host.Name(fmt.Sprintf("%s.%s.svc.cluster.local", in.Workload.Name, in.Workload.Namespace)), in.Workload.Namespace)
	var instances []*model.ServiceInstance
	for _, port := range in.Workload.Ports {
		if port.Undeclared {
			continue
		}
		servicePort := &model.Port{
			Name: fmt.Sprintf("%s-%d", port.Protocol, port.Number), Port: port.Number, Protocol: protocol.Parse(port.Protocol),
		}
		own.Ports = append(own.Ports, servicePort)
		instances = append(instances, &model.ServiceInstance{
			Service: own, ServicePort: servicePort,
			Endpoint: &model.IstioEndpoint{
				Addresses: []string{in.Workload.IP}, ServicePortName: servicePort.Name, EndpointPort: uint32(port.Number),
				Labels: in.Workload.Labels, Namespace: in.Workload.Namespace, ServiceAccount: in.Workload.ServiceAccount,
			},
		})
	}
	services := []*model.Service{own}
	for _, provider := range config.ExtensionProviders {
		name, port := provider.GetEnvoyExtAuthzHttp().GetService(), provider.GetEnvoyExtAuthzHttp().GetPort()
		if grpc := provider.GetEnvoyExtAuthzGrpc(); grpc != nil {
			name, port = grpc.Service, grpc.Port
		}
		if name == "" || strings.HasPrefix(name, noSuchService) {
			continue
		}
		authorizer := service(host.Name(name), "default")
		if labels := strings.Split(name, "."); len(labels) > 1 {
			authorizer.Attributes.Namespace = labels[1]
		}
		authorizer.Ports = model.PortList{{Name: "grpc", Port: int(port), Protocol: protocol.GRPC}}
		services = append(services, authorizer)
	}
	return services, instances
}

func service(name host.Name, namespace string) *model.Service {
	return &model.Service{
		Hostname: name, DefaultAddress: "0.0.0.0", Resolution: model.ClientSideLB, MeshExternal: false,
		Attributes: model.ServiceAttributes{Namespace: namespace, Name: strings.Split(string(name), ".")[0]},
	}
}

// servers responds for every URL of a case; every other address fails.
type servers map[string]string

func (s servers) RoundTrip(request *http.Request) (*http.Response, error) {
	body, found := s[request.URL.String()]
	if !found {
		return nil, errors.New("no such server")
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: request,
	}, nil
}

// resolverOf returns istiod's resolver of keys, with the case's servers instead of the network.
func resolverOf(urls map[string]string) *model.JwksResolver {
	resolver := model.NewJwksResolver(time.Hour, time.Hour, time.Hour, time.Millisecond)
	client := &http.Client{Transport: servers(urls)}
	fields := reflect.ValueOf(resolver).Elem()
	for _, name := range []string{"httpClient", "secureHTTPClient"} {
		field := fields.FieldByName(name)
		reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Set(reflect.ValueOf(client))
	}
	return resolver
}
