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

{{/* The sink of an account, `workspace/account`; of a workspace's webhooks none. */}}
{{- define "segma.sink" -}}
{{- $workspace := get (default dict .config.workspaces) (split "/" .account)._0 | default dict -}}
{{- (get ($workspace.accounts | default dict) (split "/" .account)._1 | default dict).sink -}}
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
{{- include "segma.checkFiles" (dict "root" . "config" $config) -}}
{{- include "segma.checkKafka" .Values.kafka -}}
{{- if and .Values.clickhouse.url (not .Values.clickhouse.passwordSecret) -}}
{{- fail "clickhouse.url is given and clickhouse.passwordSecret is not: loader, migration and console ask with a password" -}}
{{- end -}}
{{- $spool := .Values.collector.spool -}}
{{- $kept := mul (int .Values.collector.workers) (int64 $spool.maxBytes) -}}
{{- if le (include "segma.bytes" $spool.size | float64) (float64 $kept) -}}
{{- fail (printf "collector.spool.size is %s, and %d workers keep up to %d bytes there while the log is away" $spool.size (int .Values.collector.workers) $kept) -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled .Values.console.enabled .Values.console.url (not .Values.networkPolicy.consoleFrom) -}}
{{- fail "console.url is what people open, and networkPolicy.consoleFrom lets nobody in: name the labels of the namespace of the proxy that ends TLS" -}}
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
{{- end }}

{{/* Each secret of the configuration is a key of the Secret, and each file that it names is there. */}}
{{- define "segma.checkFiles" -}}
{{- range include "segma.secretPlaces" .config | splitList "\n" | compact -}}
{{- if hasPrefix "env " . -}}
{{- fail (printf "config takes a secret from the environment variable %s, and the chart sets none: write {file: secrets/KEY}, a key of the Secret" (trimPrefix "env " .)) -}}
{{- else if not (regexMatch "^file (\\./)?secrets/[A-Za-z0-9._-]+$" .) -}}
{{- fail (printf "config takes a secret from %s: a pod has secrets/KEY alone, for a Secret has keys, and no folders" (trimPrefix "file " .)) -}}
{{- end -}}
{{- end -}}
{{- $files := .root.Values.files -}}
{{- range $workspace, $each := .config.workspaces -}}
{{- with (default dict $each).actions -}}
{{- if not (hasKey $files .) -}}
{{- fail (printf "config has %s for the actions of %s, which is not among `files`" . $workspace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $path, $_ := $files -}}
{{- if hasKey $.root.Values.listeners (trimPrefix "listeners/" $path) -}}
{{- fail (printf "%s is among `listeners` and among `files`" $path) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Where a configuration says that secrets are, a line each: `env NAME` or `file PATH`. */}}
{{- define "segma.secretPlaces" -}}
{{- if kindIs "map" . -}}
{{- range $name, $value := . -}}
{{- if and (has $name (list "env" "file")) (eq (len $) 1) (kindIs "string" $value) }}
{{ $name }} {{ $value }}
{{- else -}}
{{- include "segma.secretPlaces" $value -}}
{{- end -}}
{{- end -}}
{{- else if kindIs "slice" . -}}
{{- range . -}}{{- include "segma.secretPlaces" . -}}{{- end -}}
{{- end -}}
{{- end }}

{{/* What is given to reach Kafka is used: a password that `security` leaves out would be thought of as sent. */}}
{{- define "segma.checkKafka" -}}
{{- if hasPrefix "sasl" .security -}}
{{- if not .username }}{{ fail "kafka.username is needed for SASL" }}{{ end -}}
{{- if not .passwordSecret }}{{ fail "kafka.passwordSecret is needed for SASL" }}{{ end -}}
{{- else if or .username .passwordSecret -}}
{{- fail (printf "kafka.security is %s, which takes no name and password: sasl_ssl, or sasl_plaintext" .security) -}}
{{- end -}}
{{- if and (or .caSecret .certificateSecret) (not (has .security (list "ssl" "sasl_ssl"))) -}}
{{- fail (printf "kafka.security is %s, which takes no certificates: ssl, or sasl_ssl" .security) -}}
{{- end -}}
{{- end }}

{{/* The bytes of an amount such as 1Gi. */}}
{{- define "segma.bytes" -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 -}}
{{- mulf (regexFind "^[0-9.]+" . | float64) (get $units (regexFind "[kKMGTPEi]*$" .) | float64) -}}
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
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "segma.labels" $ | nindent 10 }}
    {{- end }}
  {{- if .restartPolicy }}
  restartPolicy: {{ .restartPolicy }}
  {{- end }}
  containers:
    - name: {{ .component | replace "/" "-" }}
      image: "{{ $root.Values.image.repository }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}"
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: {{ toJson .command }}
      env:
        {{- include "segma.env" (dict "root" $root "home" (.home | default "/home/segma/home")) | nindent 8 }}
        {{- range $name, $value := $root.Values.settings }}
        - {name: {{ $name }}, value: {{ $value | quote }}}
        {{- end }}
        {{- if .clickhouse }}
        {{- include "segma.clickhouseEnv" $root | nindent 8 }}
        {{- end }}
        {{- with .env }}
        {{- . | nindent 8 }}
        {{- end }}
      {{- with .ports }}
      ports: {{- . | nindent 8 }}
      {{- end }}
      {{- with .probes }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- with .lifecycle }}
      lifecycle: {{ toYaml . | nindent 8 }}
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
        {{- if $root.Values.kafka.certificateSecret }}
        - {name: kafka-certificate, mountPath: /run/segma/kafka-certificate, readOnly: true}
        {{- end }}
        {{- if .clickhouse }}
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
                {{- range $path, $_ := $root.Values.files }}
                - {key: {{ include "segma.fileKey" $path }}, path: {{ $path | quote }}}
                {{- end }}
          {{- with include "segma.secretKeys" $root | fromJsonArray }}
          - secret:
              name: {{ $root.Values.secretName | quote }}
              items:
                {{- range . }}
                - {key: {{ . | quote }}, path: {{ printf "secrets/%s" . | quote }}}
                {{- end }}
          {{- end }}
          {{- if .users }}
          # Where there is none, only the company's login leads in.
          - secret:
              name: {{ $root.Values.secretName | quote }}
              optional: true
              items: [{key: console-users.json, path: secrets/console-users.json}]
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
    {{- with $root.Values.kafka.certificateSecret }}
    - name: kafka-certificate
      secret: {secretName: {{ . | quote }}, defaultMode: 0440}
    {{- end }}
    {{- if .clickhouse }}
    - name: clickhouse-password
      secret: {secretName: {{ $root.Values.clickhouse.passwordSecret | quote }}, defaultMode: 0440}
    {{- end }}
{{- end }}

{{/* The key under which the ConfigMap has a file: a key is no path. */}}
{{- define "segma.fileKey" -}}
file.{{ sha256sum . | trunc 16 }}
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
{{- $values := .root.Values -}}
- {name: SEGMA_CONFIG, value: {{ .home }}/segma.yaml}
# A folder of its own: a volume's belongs to root and is open to its group, and addresses lie here.
- {name: SEGMA_DATA, value: /home/segma/data/own}
- {name: SEGMA_LOG, value: kafka}
- {name: SEGMA_KAFKA_SERVERS, value: {{ $values.kafka.servers | quote }}}
- {name: SEGMA_KAFKA_PREFIX, value: {{ $values.kafka.prefix | quote }}}
- {name: SEGMA_KAFKA_REPLICATION, value: {{ $values.kafka.replication | quote }}}
- {name: SEGMA_KAFKA_SECURITY, value: {{ $values.kafka.security | quote }}}
{{- if hasPrefix "sasl" $values.kafka.security }}
- {name: SEGMA_KAFKA_SASL_MECHANISM, value: {{ $values.kafka.saslMechanism | quote }}}
- {name: SEGMA_KAFKA_USERNAME, value: {{ $values.kafka.username | quote }}}
- {name: SEGMA_KAFKA_PASSWORD_FILE, value: /run/segma/kafka/password}
{{- end }}
{{- if $values.kafka.caSecret }}
- {name: SEGMA_KAFKA_CA_FILE, value: /run/segma/kafka-ca/ca.crt}
{{- end }}
{{- if $values.kafka.certificateSecret }}
- {name: SEGMA_KAFKA_CERTIFICATE_FILE, value: /run/segma/kafka-certificate/user.crt}
- {name: SEGMA_KAFKA_KEY_FILE, value: /run/segma/kafka-certificate/user.key}
{{- end }}
- {name: SEGMA_METRICS_HOST, value: 0.0.0.0}
{{- with $values.traces.endpoint }}
- {name: SEGMA_TRACES_ENDPOINT, value: {{ . | quote }}}
- {name: SEGMA_TRACES_SHARE, value: {{ $values.traces.share | quote }}}
{{- end }}
{{- end }}

{{/* A collector's workers have a metrics port each; the first is called as that of every other process. */}}
{{- define "segma.metricsPort" -}}
{{ ternary "metrics" (printf "metrics-%d" .) (eq . 0) }}
{{- end }}

{{- define "segma.metricsPorts" -}}
{protocol: TCP, port: 9100, endPort: {{ add 9099 (int .Values.collector.workers) }}}
{{- end }}

{{- define "segma.clickhouseEnv" -}}
- {name: SEGMA_CLICKHOUSE_URL, value: {{ .Values.clickhouse.url | quote }}}
- {name: SEGMA_CLICKHOUSE_USER, value: {{ .Values.clickhouse.user | quote }}}
- {name: SEGMA_CLICKHOUSE_DATABASE, value: {{ .Values.clickhouse.database | quote }}}
- {name: SEGMA_CLICKHOUSE_PASSWORD_FILE, value: /run/segma/clickhouse/password}
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

{{/* A home that a pod may write, copied from the mounted one, which is read-only, as its files are. What a former try in
     this pod has copied goes first. */}}
{{- define "segma.ownHome" -}}
/home/segma/data/home
{{- end }}

{{- define "segma.inOwnHome" -}}
{{- $home := include "segma.ownHome" . -}}
{{- list "sh" "-c" (printf "rm -rf %s && cp -RL /home/segma/home %s && chmod -R u+w %s && exec python -m %s" $home $home $home .) | toJson -}}
{{- end }}

{{/* A command of `segma`, which works in a home that it may write. */}}
{{- define "segma.command" -}}
{{- printf "cli %s --home %s" . (include "segma.ownHome" .) | include "segma.inOwnHome" -}}
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
