{{- define "scrapering.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" }}
{{- end }}

{{- define "scrapering.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" }}
{{- else if contains (include "scrapering.name" .) .Release.Name }}
{{- .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "scrapering.name" .) | trunc 53 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "scrapering.selectorLabels" -}}
app.kubernetes.io/name: {{ include "scrapering.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "scrapering.labels" -}}
{{ include "scrapering.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "scrapering.serviceAccountName" -}}
{{- default (include "scrapering.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- /* The reference of an image: a list of the image's values and the tag that stands in for an empty one. */ -}}
{{- define "scrapering.image" -}}
{{- $image := index . 0 }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository (default (index . 1) $image.tag) }}
{{- end }}
{{- end }}

{{- /* What a container of ours may do: nothing beyond its own process. */ -}}
{{- define "scrapering.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "scrapering.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /*
Exactly what the operator calls: server-side apply of what it owns (get, create, patch), watches of the same (list,
watch), a ring's Secrets by their names, Secrets of headers by theirs. It deletes the pods and volumes of nodes that
have left their ring, policies that are not wanted any more, and jobs whose time is over; and a StatefulSet, leaving its
pods alone, to make it anew with larger volumes, after it patched their claims. All else goes by the garbage collector.
*/ -}}
{{- define "scrapering.rules" -}}
- apiGroups: [scrapering.io]
  resources: [scraperings]
  verbs: [get, list, watch]
- apiGroups: [scrapering.io]
  resources: [scrapejobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [scrapering.io]
  resources: [scrapeschedules]
  verbs: [get, list, watch]
- apiGroups: [scrapering.io]
  resources: [scraperings/status, scrapejobs/status, scrapeschedules/status]
  verbs: [patch]
# To own what has a blocking reference to its owner, where the server checks that.
- apiGroups: [scrapering.io]
  resources: [scraperings/finalizers, scrapeschedules/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps, services, serviceaccounts]
  verbs: [get, list, watch, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies, ingresses]
  verbs: [get, list, watch, create, patch, delete]
# Optional, and asked for by a ring's spec: certificates, routes to the gateway, and who reads metrics.
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes, backendtlspolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, delete]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [list, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
