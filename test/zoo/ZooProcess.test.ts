import { zooOn } from "../support/zoo/suite.ts"

zooOn("process")
