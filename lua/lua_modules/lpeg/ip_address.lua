-- The module `ip_address` under the name that Heka's successor gave it.
return require "ip_address"
