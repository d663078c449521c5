-- The module `common_log_format` under the name that Heka's successor gave it.
return require "common_log_format"
