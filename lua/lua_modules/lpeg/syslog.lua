-- The module `syslog` under the name that Heka's successor gave it.
return require "syslog"
