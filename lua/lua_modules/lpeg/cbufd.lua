-- The module `cbufd` under the name that Heka's successor gave it.
return require "cbufd"
