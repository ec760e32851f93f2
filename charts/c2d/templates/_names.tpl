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

{{/* As whom a service speaks to PostgreSQL: in the chart's own server each has a role of its own. */}}
{{- define "c2d.databaseUser" -}}
{{- $own := dict "operatorEngine" "c2d_engine" "operatorService" "c2d_service" -}}
{{- $default := ternary (index $own .key) .root.Values.postgres.user .root.Values.postgres.enabled -}}
{{- index .root.Values.postgres.users .key | default $default -}}
{{- end }}

{{/* Yes where results go to a store that this release does not run. */}}
{{- define "c2d.storeIsOutside" -}}
{{- $store := .Values.resultStore -}}
{{- $given := ternary $store.api $store.endpoint (eq $store.kind "ipfs") -}}
{{- $runs := ternary .Values.ipfs.enabled .Values.s3.enabled (eq $store.kind "ipfs") -}}
{{- if or $given (not $runs) -}}
{{- if not $store.cidrs -}}
{{- fail "resultStore.cidrs must say where the result store is: without it no job could deliver its results" -}}
{{- end -}}
yes
{{- end -}}
{{- end }}

{{/* The ports of a store outside: those that were listed, else the one of its address. */}}
{{- define "c2d.storePorts" -}}
{{- $place := urlParse .url -}}
{{- $own := regexFind ":[0-9]+$" $place.host | trimPrefix ":" | default (ternary "443" "80" (eq $place.scheme "https")) -}}
{{- .ports | default (list (int $own)) | toJson -}}
{{- end }}

{{/* A peer of a NetworkPolicy: a range, without those of `except` that lie within it. */}}
{{- define "c2d.block" -}}
{{- $length := splitList "/" .cidr | last | int -}}
{{- if and (ne .cidr "0.0.0.0/0") (lt $length (ternary 16 8 (contains ":" .cidr))) -}}
{{- fail (printf "networkPolicies: %s is too wide to leave private ranges out of it; use 0.0.0.0/0 or narrower ranges" .cidr) -}}
{{- end -}}
{{- if eq .cidr "0.0.0.0/0" -}}
{{- dict "ipBlock" (dict "cidr" .cidr "except" .except) | toJson -}}
{{- else -}}
{{- dict "ipBlock" (dict "cidr" .cidr) | toJson -}}
{{- end -}}
{{- end }}

{{/* Where the API server is: as said, else as the cluster itself says at installation. */}}
{{- define "c2d.apiServerCidrs" -}}
{{- $found := .Values.networkPolicies.apiServer.cidrs -}}
{{- if not $found -}}
{{- $ends := lookup "v1" "Endpoints" "default" "kubernetes" -}}
{{- if $ends -}}
{{- range $ends.subsets }}{{ range .addresses }}{{ $found = append $found (printf "%s/%s" .ip (ternary "128" "32" (contains ":" .ip))) }}{{ end }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if not $found -}}
{{- fail "networkPolicies.apiServer.cidrs must be set: helm could not ask the cluster where its API server is" -}}
{{- end -}}
{{- $found | toJson -}}
{{- end }}

{{/* The ports of the chain's RPC: those that were listed, and the one in its address. */}}
{{- define "c2d.rpcPorts" -}}
{{- $ports := .Values.networkPolicies.rpcPorts -}}
{{- $own := (urlParse .Values.chain.rpcUrl).host | regexFind ":[0-9]+$" | trimPrefix ":" -}}
{{- if $own }}{{ $ports = append $ports (int $own) }}{{ end -}}
{{- $ports | uniq | toJson -}}
{{- end }}
