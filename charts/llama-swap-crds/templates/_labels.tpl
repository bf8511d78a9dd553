{{- define "llama-swap-crds.labels" -}}
{{- $chart := dict
  "app.kubernetes.io/name" "llama-swap"
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/component" "crds"
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/part-of" "llama-swap"
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- toYaml (merge $chart .Values.commonLabels) -}}
{{- end }}
