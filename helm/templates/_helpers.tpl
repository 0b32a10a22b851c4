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
