#!/bin/sh
# Sympa's command line over lists in a directory: infra/sympa/run.sh INSTALLED DIRECTORY COMMAND…
# The first time it makes the directory a Sympa for lists.example.org, with SQLite. No mail leaves it: nothing empties its
# outgoing spool. For tests, the demo and a first look: not how to run Sympa for real.
set -eu

root=$1/root directory=$2
shift 2
libraries='' modules=''
for each in "$root"/usr/lib/*-linux-gnu* "$root"/lib/*-linux-gnu*; do
    if [ ! -d "$each" ]; then continue; fi
    libraries=$each${libraries:+:$libraries}
    for path in "$each"/perl5/5.* "$each"/perl/5.*; do
        if [ -d "$path" ]; then modules=$modules:$path; fi
    done
done
for path in "$root"/usr/share/perl5 "$root"/usr/share/perl/5.*; do
    if [ -d "$path" ]; then modules=$modules:$path; fi
done
perl=perl
if [ -x "$root/usr/bin/perl" ]; then perl=$root/usr/bin/perl; fi
export LD_LIBRARY_PATH="$libraries" PERL5LIB="${modules#:}"
# Sympa looks here first for its modules: above all for the one that says where everything is, and whose.
export SYMPALIB="$directory/lib:$root/usr/share/sympa/lib"
sympa=$root/usr/lib/sympa/bin/sympa

if [ ! -f "$directory/sympa.conf" ]; then
    mkdir -p "$directory/list_data" "$directory/lib/Sympa"
    cp -R "$root/var/spool/sympa" "$directory/spool"
    group=$(id -gn)
    if [ "$group" = root ]; then group=nogroup; fi
    sed -E -e "s#'/etc/sympa/sympa/sympa.conf'#'$directory/sympa.conf'#" \
        -e "s#'/var/lib/sympa/list_data'#'$directory/list_data'#; s#'/var/spool/sympa'#'$directory/spool'#" \
        -e "s#'(/etc/sympa|/etc/mail/sympa|/run/sympa|/var/lib/sympa|/usr/lib/sympa|/usr/share/sympa)#'$root\1#" \
        -e "s#(USER +=> )'sympa'#\1'$(id -un)'#; s#(GROUP +=> )'sympa'#\1'$group'#" \
        "$root/usr/share/sympa/lib/Sympa/Constants.pm" >"$directory/lib/Sympa/Constants.pm"
    if [ "$(id -u)" = 0 ]; then
        # Sympa gives nothing to root. Here, and only here, it may.
        mkdir -p "$directory/lib/Sympa/Tools"
        sed 's/elsif ($uid == 0)/elsif (0)/' "$root/usr/share/sympa/lib/Sympa/Tools/File.pm" \
            >"$directory/lib/Sympa/Tools/File.pm"
    fi
    cat >"$directory/sympa.conf" <<CONF
domain lists.example.org
listmaster postmaster@example.org
db_type SQLite
db_name $directory/sympa.sqlite
sendmail /bin/true
sendmail_aliases none
cookie of-no-use
CONF
    "$perl" "$sympa" --health_check >&2
fi
exec "$perl" "$sympa" "$@"
