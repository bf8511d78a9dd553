{{- /*
Rights of the operator, exactly the verbs it uses: the same as `llama-swap operator --print-rbac`, which test/charts compares for both
scopes. A Role outside the installation's namespace has that namespace in its name: two installations do not take each other's rights.
*/ -}}
{{- define "llama-swap.rules.served" -}}
- apiGroups: [llamaswap.dev]
  resources: [llamamodels, routingpolicies]
  verbs: [get, list, watch]
- apiGroups: [llamaswap.dev]
  resources: [llamamodels/status, routingpolicies/status]
  verbs: [patch]
- apiGroups: ['']
  resources: [secrets]
  verbs: [get, list, watch]
- apiGroups: ['']
  resources: [services, pods]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
{{- end }}

{{- define "llama-swap.rules.cluster" -}}
- apiGroups: ['']
  resources: [namespaces]
  verbs: [list, watch]
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
{{- end }}

{{- define "llama-swap.rules.bundle" -}}
- apiGroups: ['']
  resources: [configmaps]
  verbs: [get, create, patch]
{{- end }}

{{- /* Of all webhooks of the cluster its own alone, and the bundle, by its name, in whatever namespace is labelled. */ -}}
{{- define "llama-swap.rules.sidecars" -}}
- apiGroups: [admissionregistration.k8s.io]
  resources: [mutatingwebhookconfigurations]
  resourceNames: [{{ include "llama-swap.webhookConfiguration" . }}]
  verbs: [get, patch]
- apiGroups: ['']
  resources: [configmaps]
  resourceNames: [llama-swap-push-ca]
  verbs: [get, create, patch]
{{- end }}

{{- /* In its own namespace, besides what it has there as a namespace served. */ -}}
{{- define "llama-swap.rules.own" -}}
{{- $served := include "llama-swap.ownIsServed" . }}
{{- if not $served }}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
{{- end }}
- apiGroups: ['']
  resources: [secrets]
  verbs: {{ if $served }}[create, update]{{ else }}[get, create, update]{{ end }}
{{ include "llama-swap.rules.bundle" . }}
{{- if not $served }}
- apiGroups: ['']
  resources: [pods]
  verbs: [list, watch]
{{- end }}
{{- end }}

{{- /* A Role, or a ClusterRole without namespace, and its binding. In: {root, name, rules}, and namespace. */ -}}
{{- define "llama-swap.role" -}}
{{- $kind := ternary "Role" "ClusterRole" (hasKey . "namespace") }}
{{- $metadata := merge (dict "component" "operator" "cluster" (eq $kind "ClusterRole")) . }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
{{ include "llama-swap.metadata" $metadata }}
rules:
  {{- .rules | trim | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
{{ include "llama-swap.metadata" $metadata }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: llama-swap-operator
    namespace: {{ .root.Release.Namespace }}
{{- end }}
