{{/* Name of every object. The controller names its Secret and webhook configurations after it, see src/webhook. */}}
{{- define "sallyport.fullname" -}}
{{- $default := ternary .Release.Name (printf "%s-%s" .Release.Name "sallyport") (contains "sallyport" .Release.Name) -}}
{{- default $default .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "sallyport.selectorLabels" -}}
app.kubernetes.io/name: {{ default "sallyport" .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end -}}

{{- define "sallyport.labels" -}}
{{ include "sallyport.selectorLabels" . }}
{{ include "sallyport.commonLabels" . }}
{{- end -}}

{{/* Of the DaemonSet that redirects connections. The message of a pod that waits for it names the component. */}}
{{- define "sallyport.nodeSelectorLabels" -}}
app.kubernetes.io/name: {{ default "sallyport" .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: node
{{- end -}}

{{- define "sallyport.nodeLabels" -}}
{{ include "sallyport.nodeSelectorLabels" . }}
{{ include "sallyport.commonLabels" . }}
{{- end -}}

{{/* Pods that were injected before a change of the mode still need the DaemonSet. */}}
{{- define "sallyport.nodeEnabled" -}}
{{- if or (eq .Values.capture.mode "node") .Values.capture.node.keep -}}true{{- end -}}
{{- end -}}

{{- define "sallyport.commonLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: sallyport
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The annotations of an object as a field of its metadata, with a line break before it; nothing without any. Parameters: (list context annotations). */}}
{{- define "sallyport.annotations" -}}
{{- with merge (dict) (default (dict) (index . 1)) (index . 0).Values.commonAnnotations }}
{{- printf "annotations:\n%s" (toYaml . | indent 2) | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "sallyport.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sallyport.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* An image reference from { registry, repository, tag, digest }; the digest takes precedence. Parameters: (list values default-registry default-tag). */}}
{{- define "sallyport.image" -}}
{{- $image := index . 0 -}}
{{- $registry := default (index . 1) $image.registry -}}
{{- $path := ternary $image.repository (printf "%s/%s" (trimSuffix "/" $registry) $image.repository) (empty $registry) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $path $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $path (default (index . 2) $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* JSON list of the image repositories that count as agents, see src/config/injection.ts. */}}
{{- define "sallyport.agentRepositories" -}}
{{- $registry := default .Values.image.registry .Values.agent.image.registry -}}
{{- $repository := .Values.agent.image.repository -}}
{{- $path := ternary $repository (printf "%s/%s" (trimSuffix "/" $registry) $repository) (empty $registry) -}}
{{- $initRegistry := default $registry .Values.agent.initImage.registry -}}
{{- $initRepository := .Values.agent.initImage.repository -}}
{{- $initPath := ternary $initRepository (printf "%s/%s" (trimSuffix "/" $initRegistry) $initRepository) (empty $initRegistry) -}}
{{- toJson (concat (list $path $initPath) .Values.agent.repositories | uniq) -}}
{{- end -}}

{{/* The user name of the controller's ServiceAccount. */}}
{{- define "sallyport.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "sallyport.serviceAccountName" . }}
{{- end -}}

{{/* What no schema can say. */}}
{{- define "sallyport.checks" -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection.enabled) -}}
{{- fail "replicaCount is above 1, so leaderElection.enabled must be true: without a leader all replicas would write" -}}
{{- end -}}
{{- if .Values.watchNamespaces -}}
{{- if .Values.mesh.peerIdentity.podIP -}}
{{- fail "mesh.peerIdentity.podIP needs the pods of all namespaces; remove watchNamespaces" -}}
{{- end -}}
{{- if .Values.feed.enabled -}}
{{- fail "feed.enabled needs rights on the whole cluster, which the controller does not have with watchNamespaces" -}}
{{- end -}}
{{- if and (include "sallyport.webhookEnabled" .) (not (include "sallyport.foreignCertificate" .)) -}}
{{- fail "with watchNamespaces, the controller may not set the caBundle of its webhooks: set webhook.certManager.enabled, or webhook.certificate.secretName and webhook.certificate.caBundle, or disable webhook.injection and webhook.validation" -}}
{{- end -}}
{{- end -}}
{{- if and (include "sallyport.nodeEnabled" .) .Values.watchNamespaces -}}
{{- fail "capture.mode: node needs a DaemonSet that watches the pods of its node in all namespaces; remove watchNamespaces, or set capture.mode to pod and capture.node.keep to false" -}}
{{- end -}}
{{- if and (include "sallyport.nodeEnabled" .) (eq .Values.capture.node.namespace .Release.Namespace) -}}
{{- fail "capture.node.namespace must not be the namespace of the release, which needs no privileged pods" -}}
{{- end -}}
{{- if and .Values.hostNetwork .Values.profilingPort -}}
{{- fail "profilingPort must be 0 with hostNetwork: its loopback address is that of the node, from which every process and pod of the node's network could take profiles" -}}
{{- end -}}
{{- if and .Values.feed.enabled (not .Values.webhook.injection.enabled) -}}
{{- fail "feed.enabled needs webhook.injection.enabled: injection tells agents where the feed is" -}}
{{- end -}}
{{- if and .Values.mesh.peerIdentity.podIP (not .Values.feed.enabled) -}}
{{- fail "mesh.peerIdentity.podIP needs feed.enabled, by which agents learn the addresses of pods" -}}
{{- end -}}
{{- if and .Values.feed.enabled .Values.webhook.certManager.enabled -}}
{{- fail "feed.enabled needs the certificates that the controller issues; set webhook.certManager.enabled to false" -}}
{{- end -}}
{{- if ne (empty .Values.webhook.certificate.secretName) (empty .Values.webhook.certificate.caBundle) -}}
{{- fail "webhook.certificate needs both secretName and caBundle" -}}
{{- end -}}
{{- if and .Values.webhook.certificate.secretName .Values.webhook.certManager.enabled -}}
{{- fail "webhook.certificate and webhook.certManager.enabled exclude each other" -}}
{{- end -}}
{{- if and .Values.feed.enabled .Values.webhook.certificate.secretName -}}
{{- fail "feed.enabled needs the certificates that the controller issues; remove webhook.certificate" -}}
{{- end -}}
{{- range $key, $value := omit .Values.mesh "rootNamespace" "trustDomain" "trustDomainAliases" "pathNormalization" "extensionProviders" "trustedProxies" "peerIdentity" "publicCheckHeaders" "multipleCustomProviders" -}}
{{- fail (printf "mesh.%s: this setting of Istio's MeshConfig has no meaning here; remove it" $key) -}}
{{- end -}}
{{- $names := list -}}
{{- range .Values.mesh.extensionProviders -}}
{{- if has .name $names -}}
{{- fail (printf "mesh.extensionProviders has two providers with the name %s" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- end -}}

{{- define "sallyport.webhookEnabled" -}}
{{- if or .Values.webhook.injection.enabled .Values.webhook.validation.enabled -}}true{{- end -}}
{{- end -}}

{{- define "sallyport.certManager" -}}
{{- if and (include "sallyport.webhookEnabled" .) .Values.webhook.certManager.enabled -}}true{{- end -}}
{{- end -}}

{{/* The Secret with the certificate of the webhook, if the controller does not issue it. */}}
{{- define "sallyport.foreignCertificate" -}}
{{- if include "sallyport.certManager" . -}}
{{- include "sallyport.fullname" . }}-webhook
{{- else if include "sallyport.webhookEnabled" . -}}
{{- .Values.webhook.certificate.secretName -}}
{{- end -}}
{{- end -}}

{{/* JSON list of the namespaces that the controller reads, see namespacesToWatch in src/config/controller.ts; nothing: all. */}}
{{- define "sallyport.watchedNamespaces" -}}
{{- with .Values.watchNamespaces -}}
{{- append (append . $.Values.mesh.rootNamespace) $.Release.Namespace | uniq | toJson -}}
{{- end -}}
{{- end -}}

{{/* Name of an object outside of the release's namespace, where releases of several namespaces may have one. */}}
{{- define "sallyport.outsideName" -}}
{{- printf "%s.%s" (include "sallyport.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* The rules of what the controller reads and writes next to workloads. */}}
{{- define "sallyport.workloadRules" -}}
- apiGroups: [security.istio.io]
  resources: [requestauthentications, authorizationpolicies]
  verbs: [get, list, watch]
- apiGroups: [security.istio.io]
  resources: [requestauthentications/status, authorizationpolicies/status]
  verbs: [patch]
# `patch` sets one annotation, so that the kubelet refreshes a changed bundle immediately; an admission policy refuses other changes.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
# Bundles are in the namespaces of their workloads. The watch selects by label, so only bundles are read; an admission policy refuses
# writes of anything else.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- if .Values.reports.enabled }}
{{- $kinds := ternary (list "reports") (list "reports" "clusterreports") (not (empty .Values.watchNamespaces)) }}
- apiGroups: [openreports.io]
  resources: {{ toJson $kinds }}
  verbs: [list]
- apiGroups: [openreports.io]
  resources: {{ toJson $kinds }}
  resourceNames: [sallyport]
  verbs: [create, patch, delete]
{{- end }}
{{- end -}}

{{/* The annotations of a webhook configuration. */}}
{{- define "sallyport.caInjection" -}}
{{- $from := printf "%s/%s-webhook" .Release.Namespace (include "sallyport.fullname" .) -}}
{{- include "sallyport.annotations" (list . (ternary (dict "cert-manager.io/inject-ca-from" $from) (dict) (eq "true" (include "sallyport.certManager" .)))) -}}
{{- end -}}

{{/* JSON list of the Secrets that jwks.servers refers to. */}}
{{- define "sallyport.keyServerSecrets" -}}
{{- $names := list -}}
{{- range .Values.jwks.servers -}}
{{- $sources := list .caBundleFrom .proxyFrom -}}
{{- range .headers -}}
{{- $sources = append $sources .valueFrom -}}
{{- end -}}
{{- range $sources -}}
{{- with . -}}
{{- with .secretKeyRef -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $names | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* Settings that need a restart. `jwks.servers`, which does not, is added in the ConfigMap. */}}
{{- define "sallyport.staticConfig" -}}
http:
  port: {{ .Values.httpPort }}
{{- with .Values.profilingPort }}
profilingPort: {{ . }}
{{- end }}
workers: {{ .Values.workers }}
{{- with .Values.watchNamespaces }}
watchNamespaces: {{ toJson . }}
{{- end }}
kubernetes:
  qps: {{ .Values.kubeApi.qps }}
  burst: {{ .Values.kubeApi.burst }}
leaderElection:
  enabled: {{ .Values.leaderElection.enabled }}
  name: {{ printf "%s-controller" (include "sallyport.fullname" .) | quote }}
jwks:
  refresh: {{ .Values.jwks.refresh }}
  blockedCidrs: {{ toJson .Values.jwks.blockedCidrs }}
  internalCidrs: {{ toJson .Values.jwks.internalCidrs }}
  internalSources: {{ toJson .Values.jwks.internalSources }}
  {{- if .Values.jwks.caConfigMap }}
  caFile: /etc/sallyport/jwks-ca/ca.crt
  {{- end }}
webhook:
  enabled: {{ eq "true" (include "sallyport.webhookEnabled" .) }}
  port: {{ .Values.webhook.port }}
  service: {{ include "sallyport.fullname" . | quote }}
  tlsMinVersion: {{ .Values.webhook.tlsMinVersion }}
  {{- if include "sallyport.foreignCertificate" . }}
  certificateDirectory: /etc/sallyport/webhook-tls
  {{- end }}
  newAccessWarnings: {{ .Values.webhook.validation.newAccessWarnings }}
  agentImagePullPolicy: {{ .Values.agent.image.pullPolicy }}
  agentLogLevel: {{ .Values.agent.logLevel }}
  agentLogFormat: {{ .Values.agent.logFormat }}
  {{- with .Values.agent.resources }}
  agentResources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.agent.initResources }}
  initResources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  agentAccessLog: {{ .Values.agent.accessLog | quote }}
  agentAccessLogSampleRate: {{ .Values.agent.accessLogSampleRate }}
  agentDrainSeconds: {{ .Values.agent.drainSeconds }}
  agentMaxConnections: {{ .Values.agent.maxConnections }}
  {{- if .Values.agent.traces.endpoint }}
  agentTraces:
    {{- toYaml .Values.agent.traces | nindent 4 }}
  {{- end }}
  {{- with .Values.agent.startupProbe }}
  agentStartupProbe:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.agent.readinessProbe }}
  agentReadinessProbe:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.agent.tls }}
  agentTls:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.agent.repositories }}
  agentRepositories: {{ toJson . }}
  {{- end }}
  privilegedContainers: {{ .Values.agent.privilegedContainers }}
  istioPods: {{ .Values.agent.istioPods }}
  captureMode: {{ .Values.capture.mode }}
  {{- with .Values.agent.annotationBounds }}
  annotationBounds:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- if .Values.traces.endpoint }}
traces:
  {{- toYaml .Values.traces | nindent 2 }}
{{- end }}
{{- if .Values.reports.enabled }}
reports:
  enabled: true
{{- end }}
{{- if .Values.feed.enabled }}
feed:
  enabled: true
  port: {{ .Values.feed.port }}
  maxStreams: {{ .Values.feed.maxStreams }}
{{- end }}
{{- end -}}
