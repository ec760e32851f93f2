{{/* What every service pod has in common: nothing it does not need. */}}

{{- define "c2d.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "c2d.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/*
Fast while starting, so that `up` is quick; slow once it runs. `.get` is the readiness probe's body, `.live` that of
startup and liveness: a pod is ended for what is wrong inside of it, never because another service is away.
*/}}
{{- define "c2d.probes" -}}
startupProbe:
  {{- .live | default .get | nindent 2 }}
  periodSeconds: 1
  timeoutSeconds: 3
  failureThreshold: {{ .startup | default 180 }}
readinessProbe:
  {{- .get | nindent 2 }}
  periodSeconds: {{ .period | default 1 }}
  timeoutSeconds: 3
  failureThreshold: 3
livenessProbe:
  {{- .live | default .get | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{/* localhost, so that a server that checks Host lets the probe pass. */}}
{{- define "c2d.healthz" -}}
httpGet:
  path: {{ .path | default "/healthz" }}
  port: {{ .port }}
  httpHeaders: [{name: Host, value: {{ .host | default "localhost" }}}]
{{- end }}

{{- define "c2d.livez" -}}
{{ include "c2d.healthz" (dict "port" "http" "path" "/livez") }}
{{- end }}

{{- define "c2d.readyz" -}}
{{ include "c2d.healthz" (dict "port" "http" "path" "/readyz") }}
{{- end }}

{{- define "c2d.replace" -}}
{{- if .volume }}
strategy: {type: Recreate}
{{- else }}
strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
{{- end }}
{{- end }}

{{- define "c2d.claim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "c2d.labels" . | nindent 4 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with .root.Values.storage.className }}
  storageClassName: {{ . }}
  {{- end }}
  resources: {requests: {storage: {{ index .root.Values.storage.sizes .key }}}}
{{- end }}

{{- define "c2d.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .namespace | default .root.Release.Namespace }}
  labels:
    {{- include "c2d.labels" . | nindent 4 }}
automountServiceAccountToken: false
{{- end }}

{{/* A Service; `ports` is a list of {name, port, nodePort}, nodePort false where the port is internal. */}}
{{- define "c2d.service" -}}
{{- $open := false -}}
{{- if .root.Values.nodePorts.enabled }}{{ range .ports }}{{ if .nodePort }}{{ $open = true }}{{ end }}{{ end }}{{ end -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "c2d.labels" . | nindent 4 }}
spec:
  type: {{ ternary "NodePort" "ClusterIP" $open }}
  {{- with index .root.Values.clusterIPs (.key | default "") }}
  clusterIP: {{ . }}
  {{- end }}
  selector:
    {{- include "c2d.selector" . | nindent 4 }}
  ports:
    {{- range .ports }}
    - name: {{ .name }}
      port: {{ .port }}
      targetPort: {{ .port }}
      {{- if and $open .nodePort }}
      nodePort: {{ .nodePort }}
      {{- end }}
    {{- end }}
{{- end }}

{{/*
One of our Python services: account, ConfigMap, claim, Deployment, Service.
  name, key (its name in the values), module, port, nodePort, secrets (file names), volume, api (may call the API server)
*/}}
{{- define "c2d.python" -}}
{{- $root := .root -}}
{{- $config := include (printf "c2d.config.%s" .name) $root -}}
{{ include "c2d.account" . }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "c2d.labels" . | nindent 4 }}
data:
  config.json: |
    {{- $config | nindent 4 }}
  {{- if and $root.Values.chain.addresses .chain }}
  address.json: |
    {{- $root.Values.chain.addresses | toPrettyJson | nindent 4 }}
  {{- end }}
---
{{- if .volume }}
{{ include "c2d.claim" . }}
---
{{- end }}
{{ include "c2d.service" (merge (dict "ports" (list (dict "name" "http" "port" .port "nodePort" .nodePort))) .) }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "c2d.labels" . | nindent 4 }}
spec:
  replicas: {{ .replicas | default 1 }}
  revisionHistoryLimit: 2
  {{- include "c2d.replace" . | nindent 2 }}
  selector:
    matchLabels:
      {{- include "c2d.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "c2d.labels" . | nindent 8 }}
      annotations:
        checksum/config: {{ printf "%s%s" $config ($root.Values.chain.addresses | toJson) | sha256sum }}
    spec:
      serviceAccountName: {{ .name }}
      automountServiceAccountToken: {{ .api | default false }}
      enableServiceLinks: false
      {{- with include "c2d.hostAliases" $root | fromYamlArray }}
      hostAliases: {{ toJson . }}
      {{- end }}
      terminationGracePeriodSeconds: 10
      securityContext:
        {{- include "c2d.podSecurity" . | nindent 8 }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets: {{ toJson . }}
      {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ include "c2d.image" (dict "root" $root "name" "runtime") }}
          imagePullPolicy: {{ $root.Values.imagePullPolicy }}
          args: [{{ .module }}, --config, /etc/c2d/config.json]
          ports: [{name: http, containerPort: {{ .port }}}]
          {{- include "c2d.probes" (dict "get" (include "c2d.readyz" .) "live" (include "c2d.livez" .) "period" 2 "startup" .startup) | nindent 10 }}
          resources: {{ index $root.Values.resources .key | toJson }}
          securityContext:
            {{- include "c2d.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - {name: etc, mountPath: /etc/c2d, readOnly: true}
            - {name: tmp, mountPath: /tmp}
            {{- if .volume }}
            - {name: data, mountPath: /var/lib/c2d}
            {{- end }}
      volumes:
        - name: etc
          projected:
            defaultMode: 0440
            sources:
              - configMap: {name: {{ .name }}}
              {{- if .secrets }}
              - secret:
                  name: {{ index $root.Values.secrets .key }}
                  items:
                    {{- range .secrets }}
                    - {key: {{ . }}, path: secrets/{{ . }}}
                    {{- end }}
              {{- end }}
        - name: tmp
          emptyDir: {sizeLimit: 256Mi}
        {{- if .volume }}
        - name: data
          persistentVolumeClaim: {claimName: {{ .name }}}
        {{- end }}
{{- end }}
