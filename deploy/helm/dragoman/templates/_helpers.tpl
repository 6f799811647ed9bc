{{/* The name of everything: the release's, with the chart's where it does not say it. A StatefulSet's may have 52 characters. */}}
{{- define "dragoman.name" -}}
{{- $name := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) -}}
{{- $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* What finds the pods. It can never change: a StatefulSet keeps its selector. */}}
{{- define "dragoman.selector" -}}
{app.kubernetes.io/name: {{ .Chart.Name }}, app.kubernetes.io/instance: {{ quote .Release.Name }}}
{{- end -}}

{{- define "dragoman.metadata" -}}
name: {{ include "dragoman.name" . }}
labels:
  app.kubernetes.io/name: {{ .Chart.Name }}
  app.kubernetes.io/instance: {{ quote .Release.Name }}
  app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The secret that the gateway's environment comes from, or nothing. */}}
{{- define "dragoman.secret" -}}
{{- if and .Values.existingSecret .Values.secret -}}
{{- fail "existingSecret and secret are both set: the environment comes from one of them" -}}
{{- end -}}
{{- .Values.existingSecret | default (.Values.secret | empty | ternary "" (include "dragoman.name" .)) -}}
{{- end -}}

{{/* Seconds until a kill: the pause before SIGTERM (5), what the configuration gives open answers, and 10 to ship the ledger. */}}
{{- define "dragoman.grace" -}}
{{- $config := fromYaml .Values.config -}}
{{- if $config.Error -}}{{- fail (printf "config is not YAML: %s" $config.Error) -}}{{- end -}}
{{- $config.server | default dict | dig "drain_seconds" 30 | int | add 15 -}}
{{- end -}}
