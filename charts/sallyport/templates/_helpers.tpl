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
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: sallyport
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
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
{{- toJson (concat (list $path) .Values.agent.repositories) -}}
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
{{- range $key, $value := omit .Values.mesh "rootNamespace" "trustDomain" "trustDomainAliases" "pathNormalization" "extensionProviders" "trustedProxies" "publicCheckHeaders" "multipleCustomProviders" -}}
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

{{/* Settings that need a restart. */}}
{{- define "sallyport.staticConfig" -}}
logLevel: {{ .Values.logLevel }}
workers: {{ .Values.workers }}
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
  agentImagePullPolicy: {{ .Values.agent.image.pullPolicy }}
  agentLogLevel: {{ .Values.agent.logLevel }}
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
  {{- with .Values.agent.startupProbe }}
  agentStartupProbe:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.agent.readinessProbe }}
  agentReadinessProbe:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.agent.repositories }}
  agentRepositories: {{ toJson . }}
  {{- end }}
  privilegedContainers: {{ .Values.agent.privilegedContainers }}
  {{- with .Values.agent.annotationBounds }}
  annotationBounds:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
