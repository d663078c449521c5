-- The module `util` under the name that Heka's successor gave it.
return require "util"
