{{/* Names and labels. */}}
{{- define "segma.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "segma.labels" -}}
app.kubernetes.io/name: segma
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The name of an account's delivery, of `workspace/account`: the same for no two of them, whatever else there is. Where
     the two names cannot be told apart in it, or are cut, a sum of them stands behind. */}}
{{- define "segma.delivery" -}}
{{- $workspace := (split "/" .)._0 -}}
{{- $account := (split "/" .)._1 -}}
{{- $name := printf "deliver-%s-%s" $workspace ($account | default "webhooks") -}}
{{- if and (regexMatch "^[a-z0-9]+/([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$" .) (ne $account "webhooks") (le (len $name) 50) -}}
{{ $name }}
{{- else -}}
{{ regexReplaceAll "-+" ($name | replace "_" "-" | trunc 41) "-" | trimSuffix "-" }}-{{ sha256sum . | trunc 8 }}
{{- end -}}
{{- end }}

{{/* The port of a URL. */}}
{{- define "segma.portOf" -}}
{{- regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" | default (ternary "443" "80" (hasPrefix "https" .)) -}}
{{- end }}

{{- define "segma.mayLeave" -}}
{{- $open := list -}}
{{- range .ports }}{{ $open = append $open (toString .) }}{{ end -}}
{{- if not (has .port $open) -}}
{{- fail (printf "%s has the port %s, and %s opens %s alone: the network policies would let nobody there" .to .port .by (join ", " $open)) -}}
{{- end -}}
{{- end }}

{{/* What would be rendered and could not run, or would leave somebody's moves undone, is refused in a sentence. */}}
{{- define "segma.checks" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" .Release.Name) -}}
{{- fail (printf "the release's name is %s: it begins with a letter, for services are named after it, and has letters, digits and hyphens alone" .Release.Name) -}}
{{- end -}}
{{- $config := fromYaml .Values.config -}}
{{- if hasKey $config "Error" -}}
{{- fail (printf "config is no mapping of YAML: %s" $config.Error) -}}
{{- end -}}
{{- $own := list -}}
{{- range $workspace, $each := $config.workspaces -}}
{{- range $account, $_ := (default dict $each).accounts -}}
{{- $own = append $own (printf "%s/%s" $workspace $account) -}}
{{- end -}}
{{- end -}}
{{- range $own -}}
{{- if not (has . $.Values.accounts) -}}
{{- fail (printf "config has the account %s, which is not among `accounts`: nobody would deliver its moves" .) -}}
{{- end -}}
{{- end -}}
{{- range .Values.accounts -}}
{{- if not (or (has . $own) (hasKey (default dict $config.workspaces) (trimSuffix "/" .))) -}}
{{- fail (printf "`accounts` has %s, which config does not have" .) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.collector.autoscaling.enabled (not (get .Values.collector.resources.requests "cpu")) -}}
{{- fail "collector.autoscaling counts in collector.resources.requests.cpu: give one" -}}
{{- end -}}
{{- if .Values.networkPolicy.enabled -}}
{{- range splitList "," .Values.kafka.servers -}}
{{- include "segma.mayLeave" (dict "port" (last (splitList ":" .)) "to" "kafka.servers" "by" "kafka.ports" "ports" $.Values.kafka.ports) -}}
{{- end -}}
{{- with .Values.clickhouse.url -}}
{{- include "segma.mayLeave" (dict "port" (include "segma.portOf" .) "to" "clickhouse.url" "by" "clickhouse.ports" "ports" $.Values.clickhouse.ports) -}}
{{- end -}}
{{- with .Values.traces.endpoint -}}
{{- include "segma.mayLeave" (dict "port" (include "segma.portOf" .) "to" "traces.endpoint" "by" "traces.ports" "ports" $.Values.traces.ports) -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "secrets/[A-Za-z0-9._-]+/" (toYaml $config) -}}
{{- fail "config names a secret in a folder below secrets/: a Secret has keys, and no folders" -}}
{{- end -}}
{{- end }}

{{/* All that a pod of ours is: who it runs as, what it mounts, where it may run. `container` is a template's output. */}}
{{- define "segma.pod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "segma.labels" . | nindent 4 }}
  annotations:
    checksum/config: {{ include (print $root.Template.BasePath "/config.yaml") $root | sha256sum }}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 30
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets: {{ toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    # Not at every start: that would open the data to the group again.
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- with $root.Values.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "segma.labels" . | nindent 10 }}
  {{- if .restartPolicy }}
  restartPolicy: {{ .restartPolicy }}
  {{- end }}
  containers:
    - name: {{ .component | replace "/" "-" }}
      image: "{{ $root.Values.image.repository }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}"
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: {{ toJson .command }}
      env:
        {{- include "segma.env" $root | nindent 8 }}
        {{- with .env }}
        {{- . | nindent 8 }}
        {{- end }}
      {{- with .ports }}
      ports: {{- . | nindent 8 }}
      {{- end }}
      {{- with .probes }}
      {{- . | nindent 6 }}
      {{- end }}
      resources: {{ toYaml .resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: home, mountPath: /home/segma/home, readOnly: true}
        - {name: data, mountPath: /home/segma/data}
        - {name: tmp, mountPath: /tmp}
        {{- range until (int .flowVolumes) }}
        - {name: flow-{{ . }}, mountPath: /home/segma/volumes/{{ . }}}
        {{- end }}
        {{- if $root.Values.kafka.passwordSecret }}
        - {name: kafka-password, mountPath: /run/segma/kafka, readOnly: true}
        {{- end }}
        {{- if $root.Values.kafka.caSecret }}
        - {name: kafka-ca, mountPath: /run/segma/kafka-ca, readOnly: true}
        {{- end }}
        {{- if and $root.Values.clickhouse.url $root.Values.clickhouse.passwordSecret }}
        - {name: clickhouse-password, mountPath: /run/segma/clickhouse, readOnly: true}
        {{- end }}
  volumes:
    - name: home
      projected:
        defaultMode: 0440
        sources:
          - configMap:
              name: {{ include "segma.name" $root }}-config
              items:
                - {key: segma.yaml, path: segma.yaml}
                {{- range $file, $_ := $root.Values.listeners }}
                - {key: {{ printf "listener.%s" $file | quote }}, path: {{ printf "listeners/%s" $file | quote }}}
                {{- end }}
          {{- with include "segma.secretKeys" $root | fromJsonArray }}
          - secret:
              name: {{ $root.Values.secretName | quote }}
              items:
                {{- range . }}
                - {key: {{ . | quote }}, path: {{ printf "secrets/%s" . | quote }}}
                {{- end }}
          {{- end }}
    {{- if not .claimed }}
    - name: data
      emptyDir: {}
    {{- end }}
    - name: tmp
      emptyDir: {}
    {{- range until (int .flowVolumes) }}
    - name: flow-{{ . }}
      persistentVolumeClaim: {claimName: data-{{ include "segma.name" $root }}-flow-{{ . }}}
    {{- end }}
    {{- with $root.Values.kafka.passwordSecret }}
    - name: kafka-password
      secret: {secretName: {{ . | quote }}, defaultMode: 0440}
    {{- end }}
    {{- with $root.Values.kafka.caSecret }}
    - name: kafka-ca
      secret: {secretName: {{ . | quote }}, defaultMode: 0440}
    {{- end }}
    {{- if and $root.Values.clickhouse.url $root.Values.clickhouse.passwordSecret }}
    - name: clickhouse-password
      secret: {secretName: {{ $root.Values.clickhouse.passwordSecret | quote }}, defaultMode: 0440}
    {{- end }}
{{- end }}

{{/* The keys of the Secret that the configuration names, `{file: secrets/KEY}`, once each; not those of its comments. */}}
{{- define "segma.secretKeys" -}}
{{- $found := list -}}
{{- range regexFindAll "secrets/[A-Za-z0-9._-]+" (fromYaml .Values.config | toYaml) -1 -}}
{{- $found = append $found (trimPrefix "secrets/" .) -}}
{{- end -}}
{{- uniq $found | sortAlpha | toJson -}}
{{- end }}

{{/* What every process reads: which log, and how to reach it. */}}
{{- define "segma.env" -}}
- {name: SEGMA_CONFIG, value: /home/segma/home/segma.yaml}
# A folder of its own: a volume's belongs to root and is open to its group, and addresses lie here.
- {name: SEGMA_DATA, value: /home/segma/data/own}
- {name: SEGMA_LOG, value: kafka}
- {name: SEGMA_KAFKA_SERVERS, value: {{ .Values.kafka.servers | quote }}}
- {name: SEGMA_KAFKA_PREFIX, value: {{ .Values.kafka.prefix | quote }}}
- {name: SEGMA_KAFKA_REPLICATION, value: {{ .Values.kafka.replication | quote }}}
- {name: SEGMA_KAFKA_SECURITY, value: {{ .Values.kafka.security | quote }}}
{{- if hasPrefix "sasl" .Values.kafka.security }}
- {name: SEGMA_KAFKA_SASL_MECHANISM, value: {{ .Values.kafka.saslMechanism | quote }}}
- {name: SEGMA_KAFKA_USERNAME, value: {{ required "kafka.username is needed for SASL" .Values.kafka.username | quote }}}
- {name: SEGMA_KAFKA_PASSWORD_FILE, value: /run/segma/kafka/password}
{{- if not .Values.kafka.passwordSecret }}{{ fail "kafka.passwordSecret is needed for SASL" }}{{ end }}
{{- end }}
{{- if .Values.kafka.caSecret }}
- {name: SEGMA_KAFKA_CA_FILE, value: /run/segma/kafka-ca/ca.crt}
{{- end }}
- {name: SEGMA_METRICS_HOST, value: 0.0.0.0}
{{- with .Values.traces.endpoint }}
- {name: SEGMA_TRACES_ENDPOINT, value: {{ . | quote }}}
- {name: SEGMA_TRACES_SHARE, value: {{ $.Values.traces.share | quote }}}
{{- end }}
{{- end }}

{{/* A collector's workers have a metrics port each. */}}
{{- define "segma.metricsPorts" -}}
{protocol: TCP, port: 9100, endPort: {{ add 9099 (int .Values.collector.workers) }}}
{{- end }}

{{- define "segma.clickhouseEnv" -}}
- {name: SEGMA_CLICKHOUSE_URL, value: {{ .Values.clickhouse.url | quote }}}
- {name: SEGMA_CLICKHOUSE_USER, value: {{ .Values.clickhouse.user | quote }}}
- {name: SEGMA_CLICKHOUSE_DATABASE, value: {{ .Values.clickhouse.database | quote }}}
{{- if .Values.clickhouse.passwordSecret }}
- {name: SEGMA_CLICKHOUSE_PASSWORD_FILE, value: /run/segma/clickhouse/password}
{{- end }}
{{- end }}

{{- define "segma.claim" -}}
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  {{- with .storageClassName }}
  storageClassName: {{ . | quote }}
  {{- end }}
  resources:
    requests: {storage: {{ .size }}}
{{- end }}

{{/* A command of `segma`: it works in a home that it may write, and the mounted one is read-only. What a former try in
     this pod has copied goes first: its files are read-only too. */}}
{{- define "segma.command" -}}
{{- $home := "/home/segma/data/home" -}}
{{- list "sh" "-c" (printf "rm -rf %s && cp -RL /home/segma/home %s && exec python -m cli %s --home %s" $home $home . $home) | toJson -}}
{{- end }}

{{/* A process that answers /metrics alone is ready, and lives, when it does. */}}
{{- define "segma.metricsProbes" -}}
startupProbe:
  httpGet: {path: /metrics, port: metrics}
  periodSeconds: 5
  failureThreshold: 120
readinessProbe:
  httpGet: {path: /metrics, port: metrics}
  periodSeconds: 10
livenessProbe:
  httpGet: {path: /metrics, port: metrics}
  periodSeconds: 20
  timeoutSeconds: 10
  failureThreshold: 6
{{- end }}
