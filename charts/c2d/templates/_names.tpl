{{/* Names, labels and addresses that every template shares. Component names are also Service and Deployment names. */}}

{{- define "c2d.labels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/part-of: c2d
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{- define "c2d.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* An image by digest, or an error that names the missing value. */}}
{{- define "c2d.image" -}}
{{- required (printf "images.%s must be set: name@sha256:…" .name) (index .root.Values.images .name) -}}
{{- end }}

{{/* host[:port] of a service inside the cluster. */}}
{{- define "c2d.host" -}}{{ .name }}.{{ .root.Release.Namespace }}.svc{{- end }}

{{/* The fixed addresses by name: after a restart of the node nothing of ours waits for the cluster's DNS. */}}
{{- define "c2d.hostAliases" -}}
{{- range $key, $ip := .Values.clusterIPs -}}
{{- if $ip }}
- {ip: {{ $ip | quote }}, hostnames: [{{ include "c2d.host" (dict "root" $ "name" (kebabcase $key)) }}]}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A service's URL for job pods, which have no DNS: by fixed address where there is one. */}}
{{- define "c2d.jobUrl" -}}
{{- $ip := index .root.Values.clusterIPs .key -}}
http://{{ $ip | default (include "c2d.host" .) }}:{{ .port }}
{{- end }}

{{- define "c2d.rpcUrl" -}}
{{- if .Values.chain.enabled -}}
http://{{ include "c2d.host" (dict "root" . "name" "chain") }}:8545
{{- else -}}
{{ required "chain.rpcUrl must be set when chain.enabled is false" .Values.chain.rpcUrl }}
{{- end -}}
{{- end }}

{{- define "c2d.addressFile" -}}
{{- if .Values.chain.addresses -}}/etc/c2d/address.json
{{- else if .Values.chain.addressFile -}}{{ .Values.chain.addressFile }}
{{- else if .Values.chain.enabled -}}{{ include "c2d.rpcUrl" . }}/address.json
{{- else -}}{{ fail "chain.addresses or chain.addressFile must be set when chain.enabled is false" }}
{{- end -}}
{{- end }}

{{- define "c2d.ipfsGateway" -}}
{{- if .Values.ipfs.enabled -}}http://{{ include "c2d.host" (dict "root" . "name" "ipfs") }}:8080{{- end -}}
{{- end }}

{{- define "c2d.s3Endpoint" -}}
{{- if .Values.s3.enabled -}}http://{{ include "c2d.host" (dict "root" . "name" "s3") }}:9000{{- end -}}
{{- end }}

{{/* Not empty where an environment's results leave the store one day. */}}
{{- define "c2d.expires" -}}
{{- range .Values.environments }}{{ if .storageExpiry }}yes{{ end }}{{ end -}}
{{- end }}
