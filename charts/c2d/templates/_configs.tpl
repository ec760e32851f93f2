{{/* /etc/c2d/config.json of each service: exactly the keys its Settings model knows. */}}

{{- define "c2d.config.listen" -}}
{{- dict "host" "0.0.0.0" "port" . | toJson -}}
{{- end }}

{{- define "c2d.config.chainRef" -}}
{{- dict "id" .Values.chain.id "rpcUrl" (include "c2d.rpcUrl" .) "addressFile" (include "c2d.addressFile" .) | toJson -}}
{{- end }}

{{- define "c2d.config.postgres" -}}
{{- $values := .root.Values.postgres -}}
{{- $host := $values.host -}}
{{- if $values.enabled }}{{ $host = include "c2d.host" (dict "root" .root "name" "postgres") }}{{ end -}}
{{- dict "host" (required "postgres.host must be set when postgres.enabled is false" $host) "port" $values.port "database" $values.database "user" (include "c2d.databaseUser" .) | toJson -}}
{{- end }}

{{- define "c2d.config.resultStore" -}}
{{- $store := .Values.resultStore -}}
{{- if eq $store.kind "ipfs" -}}
{{- if or $store.api $store.gateway (not .Values.ipfs.enabled) -}}
{{- $_ := required "resultStore.api must be set: where results are written to an IPFS node outside the release" $store.api -}}
{{- $_ := required "resultStore.gateway must be set: where results are read from an IPFS node outside the release" $store.gateway -}}
{{- end -}}
{{- $api := $store.api | default (include "c2d.jobUrl" (dict "root" . "key" "ipfs" "name" "ipfs" "port" 5001)) -}}
{{- $gateway := $store.gateway | default (include "c2d.ipfsGateway" .) -}}
{{- dict "kind" "ipfs" "api" $api "gateway" $gateway "requireEncryption" $store.requireEncryption | toJson -}}
{{- else -}}
{{- if not .Values.s3.enabled }}{{ $_ := required "resultStore.endpoint must be set when s3.enabled is false" $store.endpoint }}{{ end -}}
{{- $endpoint := $store.endpoint | default (include "c2d.jobUrl" (dict "root" . "key" "s3" "name" "s3" "port" 9000)) -}}
{{- dict "kind" "s3" "endpoint" $endpoint "bucket" $store.bucket "region" $store.region
  "requireEncryption" $store.requireEncryption | toJson -}}
{{- end -}}
{{- end }}

{{- define "c2d.config.chain" -}}
{{- $hosts := .Values.chain.allowedHosts -}}
{{- range $name := list "chain" "chain.%s" "chain.%s.svc" "chain.%s.svc.cluster.local" -}}
{{- $hosts = append $hosts ($name | replace "%s" $.Release.Namespace) -}}
{{- end -}}
{{- dict
  "listen" (include "c2d.config.listen" 8545 | fromJson)
  "chainId" .Values.chain.id
  "dataDir" "/var/lib/c2d"
  "secretsDir" "/etc/c2d/secrets"
  "mnemonic" .Values.chain.mnemonic
  "allowedHosts" $hosts
  "allowedOrigins" .Values.chain.allowedOrigins
  "poolContracts" (.Values.chain.poolContracts | default nil)
  | toPrettyJson -}}
{{- end }}

{{- define "c2d.config.cache" -}}
{{- dict
  "listen" (include "c2d.config.listen" 5000 | fromJson)
  "chain" (include "c2d.config.chainRef" . | fromJson)
  "endpointAliases" (include "c2d.config.endpointAliases" (dict "root" . "extra" .Values.cache.endpointAliases) | fromJson)
  "database" "/var/lib/c2d/cache.sqlite"
  "secretsDir" "/etc/c2d/secrets"
  "span" .Values.cache.span
  "pollSeconds" .Values.cache.pollSeconds
  "decryptSeconds" .Values.cache.decryptSeconds
  "readySeconds" .Values.cache.readySeconds
  "confirmations" .Values.chain.confirmations
  "allowedPublishers" .Values.cache.allowedPublishers
  "allowedValidators" .Values.cache.allowedValidators
  | toPrettyJson -}}
{{- end }}

{{/* The Provider's public address means the Provider's Service to whoever is inside the cluster. */}}
{{- define "c2d.config.endpointAliases" -}}
{{- $inside := printf "http://%s:8030" (include "c2d.host" (dict "root" .root "name" "provider")) -}}
{{- merge (deepCopy .extra) (dict .root.Values.provider.publicUrl $inside) | toJson -}}
{{- end }}

{{- define "c2d.config.provider" -}}
{{- $fetch := deepCopy .Values.provider.fetch -}}
{{- $allow := $fetch.allow -}}
{{- $results := include "c2d.config.resultStore" . | fromJson -}}
{{- range (list (include "c2d.s3Endpoint" .) (include "c2d.ipfsGateway" .)) -}}{{- if . }}{{ $allow = append $allow . }}{{ end -}}{{- end -}}
{{- $_ := set $fetch "allow" (uniq $allow) -}}
{{- $_ := set $fetch "ipfsGateway" ($fetch.ipfsGateway | default (include "c2d.ipfsGateway" .)) -}}
{{- range list "ipfsGateway" "arweaveGateway" }}{{ if not (index $fetch .) }}{{ $_ := unset $fetch . }}{{ end }}{{ end -}}
{{- dict
  "listen" (include "c2d.config.listen" 8030 | fromJson)
  "chain" (include "c2d.config.chainRef" . | fromJson)
  "cacheUrl" (.Values.provider.cacheUrl | default (printf "http://%s:5000" (include "c2d.host" (dict "root" . "name" "cache"))))
  "operatorServiceUrl" (printf "http://%s:8050" (include "c2d.host" (dict "root" . "name" "operator-service")))
  "publicUrl" .Values.provider.publicUrl
  "internalUrl" (include "c2d.jobUrl" (dict "root" . "key" "provider" "name" "provider" "port" 8030))
  "feeToken" .Values.provider.feeToken
  "fetch" $fetch
  "endpointAliases" (include "c2d.config.endpointAliases" (dict "root" . "extra" .Values.provider.endpointAliases) | fromJson)
  "trust" .Values.provider.trust
  "userData" .Values.provider.userData
  "compat" .Values.provider.compat
  "signatures" .Values.provider.signatures
  "limits" .Values.provider.limits
  "freshness" (set (deepCopy .Values.provider.freshness) "blocks" .Values.chain.confirmations)
  "resultStore" $results
  "database" "/var/lib/c2d/provider.sqlite"
  "secretsDir" "/etc/c2d/secrets"
  | toPrettyJson -}}
{{- end }}

{{- define "c2d.config.operator-service" -}}
{{- if and .Values.operatorService.signatureRequired (not .Values.operatorService.allowedProviders) -}}
{{- fail "operatorService.allowedProviders must name at least one Provider's address" -}}
{{- end -}}
{{- dict
  "listen" (include "c2d.config.listen" 8050 | fromJson)
  "namespace" .Values.namespaces.jobs
  "postgres" (include "c2d.config.postgres" (dict "root" . "key" "operatorService") | fromJson)
  "signatureRequired" .Values.operatorService.signatureRequired
  "allowedProviders" .Values.operatorService.allowedProviders
  "compat" .Values.operatorService.compat
  "environments" .Values.environments
  "resultStore" (include "c2d.config.resultStore" . | fromJson)
  "chainId" .Values.chain.id
  "secretsDir" "/etc/c2d/secrets"
  | toPrettyJson -}}
{{- end }}

{{- define "c2d.config.registration" -}}
{{- dict
  "chain" (include "c2d.config.chainRef" . | fromJson)
  "providerUrl" (printf "http://%s:8030" (include "c2d.host" (dict "root" . "name" "provider")))
  "publicUrl" .Values.provider.publicUrl
  | toJson -}}
{{- end }}

{{- define "c2d.config.operator-engine" -}}
{{- $targets := .Values.operatorEngine.wardenTargets -}}
{{- range $key, $port := dict "provider" 8030 "operatorEngine" 8051 "ipfs" 5001 "s3" 9000 -}}
{{- with index $.Values.clusterIPs $key }}{{ $targets = append $targets (printf "%s:%d" . $port) }}{{ end -}}
{{- end -}}
{{- $classes := dict -}}
{{- range $role, $class := omit .Values.runtimeClasses "create" -}}{{- if $class }}{{ $_ := set $classes $role $class }}{{ end -}}{{- end -}}
{{- $config := dict
  "listen" (include "c2d.config.listen" 8051 | fromJson)
  "namespace" .Values.namespaces.jobs
  "postgres" (include "c2d.config.postgres" (dict "root" . "key" "operatorEngine") | fromJson)
  "environments" .Values.environments
  "images" (dict "runtime" (include "c2d.image" (dict "root" . "name" "runtime")))
  "imagePullPolicy" .Values.jobs.imagePullPolicy
  "runtimeClasses" $classes
  "storageClass" .Values.jobs.storageClass
  "providerUrl" (include "c2d.jobUrl" (dict "root" . "key" "provider" "name" "provider" "port" 8030))
  "imagePullSecrets" .Values.jobs.imagePullSecrets
  "claimsWait" (eq (include "c2d.claimsWait" .) "true")
  "foldersMade" (eq (include "c2d.ownJobClass" .) "true")
  "engineUrl" (include "c2d.jobUrl" (dict "root" . "key" "operatorEngine" "name" "operator-engine" "port" 8051))
  "resultStore" (include "c2d.config.resultStore" . | fromJson)
  "warden" (dict "targets" (uniq $targets) "required" .Values.operatorEngine.requireIsolation "restrictions" .Values.operatorEngine.wardenRestrictions)
  "masked" (concat .Values.operatorEngine.masked (ternary (list "/sys/devices/virtual/block" "/sys/fs/ext4") list .Values.provisioner.enabled))
  "hostUsers" .Values.operatorEngine.hostUsers
  "limits" .Values.operatorEngine.limits
  "registration" (ternary (include "c2d.config.registration" . | fromJson) nil .Values.operatorEngine.registration)
  "secretsDir" "/etc/c2d/secrets"
-}}
{{- with .Values.operatorEngine.capacity }}{{ $_ := set $config "capacity" . }}{{ end -}}
{{- toPrettyJson $config -}}
{{- end }}

{{/* Whether the provisioner makes the jobs' volumes. */}}
{{- define "c2d.ownJobClass" -}}
{{- and .Values.provisioner.enabled (eq .Values.jobs.storageClass .Values.provisioner.jobClass) -}}
{{- end }}

{{/* Whether job pods are made while their claim is still pending: our own class's binding mode says it itself. */}}
{{- define "c2d.claimsWait" -}}
{{- if eq (include "c2d.ownJobClass" .) "true" -}}
{{- eq .Values.provisioner.jobBinding "WaitForFirstConsumer" -}}
{{- else -}}
{{- .Values.jobs.claimsWait -}}
{{- end -}}
{{- end }}

{{- define "c2d.config.provisioner" -}}
{{- dict
  "listen" (include "c2d.config.listen" 8052 | fromJson)
  "root" .Values.provisioner.root
  "namespaces" (list .Release.Namespace .Values.namespaces.jobs)
  "reserveBytes" .Values.provisioner.reserveBytes
  | toPrettyJson -}}
{{- end }}

{{- define "c2d.config.s3-accounts" -}}
{{- dict
  "endpoint" (include "c2d.s3Endpoint" .)
  "bucket" .Values.resultStore.bucket
  "region" .Values.s3.region
  "secretsDir" "/etc/c2d/secrets"
  | toPrettyJson -}}
{{- end }}
