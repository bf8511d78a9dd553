{{- /* Labels that select Pods: they never change. In: {root, component}. */ -}}
{{- define "llama-swap.selector" -}}
app.kubernetes.io/name: llama-swap
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- /* Labels of an object. In: {root, component}, and `labels` of its own. */ -}}
{{- define "llama-swap.labels" -}}
{{- $chart := dict
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/part-of" "llama-swap"
  "app.kubernetes.io/managed-by" .root.Release.Service
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- toYaml (merge (include "llama-swap.selector" . | fromYaml) $chart (.labels | default dict) .root.Values.commonLabels) -}}
{{- end }}

{{- /*
The metadata of an object. In: {root, component, name}, and where they differ namespace, labels, annotations; cluster: true for objects
without a namespace.
*/ -}}
{{- define "llama-swap.metadata" -}}
metadata:
  name: {{ .name }}
  {{- if not .cluster }}
  namespace: {{ .namespace | default .root.Release.Namespace }}
  {{- end }}
  labels:
    {{- include "llama-swap.labels" . | nindent 4 }}
  {{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- /* In: root. */ -}}
{{- define "llama-swap.image" -}}
{{- $registry := .Values.global.imageRegistry | default .Values.image.registry -}}
{{- with $registry }}{{ . }}/{{ end }}{{ .Values.image.repository -}}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end }}

{{- /* Whether the release's own namespace is served: "true" or nothing. */ -}}
{{- define "llama-swap.ownIsServed" -}}
{{- if or (not .Values.namespaces) (has .Release.Namespace .Values.namespaces) }}true{{ end -}}
{{- end }}

{{- /* Where the first key, and models of the values, are: a namespace that is served. */ -}}
{{- define "llama-swap.home" -}}
{{- if include "llama-swap.ownIsServed" . }}{{ .Release.Namespace }}{{ else }}{{ first .Values.namespaces }}{{ end -}}
{{- end }}

{{- /* What gateway and operator have alike in their Pods. In: {root, component, settings}. */ -}}
{{- define "llama-swap.podSpec" -}}
{{- with .root.Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .settings.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if .settings.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range .settings.topologySpreadConstraints }}
  - labelSelector:
      matchLabels:
        {{- include "llama-swap.selector" $ | nindent 8 }}
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- with .settings.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Flags that operator and proxies have alike. */ -}}
{{- define "llama-swap.commonArgs" -}}
- --log-level={{ .Values.logLevel }}
{{- with .Values.addresses.allow }}
- --allow-addresses={{ join "," . }}
{{- end }}
{{- with .Values.addresses.deny }}
- --deny-addresses={{ join "," . }}
{{- end }}
{{- end }}

{{- /*
How a gateway ends: preStop (new connections go elsewhere), then unready and serving for the drain delay, then running requests have the
longest stream, and a margin in which the process closes. One place, so that no part is shorter than what it has to wait for. In: root.
*/ -}}
{{- define "llama-swap.terminationGracePeriodSeconds" -}}
{{- with .Values.gateway.shutdown }}{{ add .preStopSeconds .drainDelaySeconds .longestStreamSeconds 10 }}{{ end -}}
{{- end }}
{{- define "llama-swap.preStop" -}}
{{- if gt (int .Values.gateway.shutdown.preStopSeconds) 0 }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ int .Values.gateway.shutdown.preStopSeconds }}
{{- end }}
{{- end }}
{{- define "llama-swap.shutdownArgs" -}}
- --drain-delay={{ .Values.gateway.shutdown.drainDelaySeconds }}s
- --shutdown-grace={{ .Values.gateway.shutdown.longestStreamSeconds }}s
{{- end }}

{{- /* What clients speak, and where: one port, since a gateway with a certificate speaks nothing else there. In: root. */ -}}
{{- define "llama-swap.scheme" -}}{{ ternary "https" "http" (not (empty .Values.gateway.tls.secretName)) }}{{- end }}
{{- define "llama-swap.servicePort" -}}
{{- int .Values.gateway.service.port | default (ternary 443 80 (not (empty .Values.gateway.tls.secretName))) -}}
{{- end }}
{{- define "llama-swap.gatewayHost" -}}llama-swap.{{ .Release.Namespace }}.svc{{- end }}
{{- define "llama-swap.gatewayUrl" -}}
{{- $port := include "llama-swap.servicePort" . | int -}}
{{- include "llama-swap.scheme" . }}://{{ include "llama-swap.gatewayHost" . }}
{{- if ne $port (ternary 443 80 (not (empty .Values.gateway.tls.secretName))) }}:{{ $port }}{{ end -}}
{{- end }}

{{- /*
Where sidecars reach models behind a credential; empty: they do not. They trust the public authorities alone, which sign no name of a
Service, so with TLS at the gateway it must be said by what name they reach it. In: root.
*/ -}}
{{- define "llama-swap.sidecarGatewayUrl" -}}
{{- if or .Values.sidecars.enabled .Values.sidecars.namespaces -}}
{{- if .Values.sidecars.gatewayUrl }}{{ .Values.sidecars.gatewayUrl }}
{{- else if not .Values.gateway.tls.secretName }}{{ include "llama-swap.gatewayUrl" . }}{{ end -}}
{{- end -}}
{{- end }}

{{- /* Of the webhook's configuration, outside all namespaces: two installations have one each. In: root. */ -}}
{{- define "llama-swap.webhookConfiguration" -}}llama-swap-sidecars-{{ .Release.Namespace }}{{- end }}
