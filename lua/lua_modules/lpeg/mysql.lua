-- The module `mysql` under the name that Heka's successor gave it.
return require "mysql"
