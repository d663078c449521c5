-- The module `msg_interpolate` under the name that Heka's successor gave it.
return require "msg_interpolate"
