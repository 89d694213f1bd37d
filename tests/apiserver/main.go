// Command kube-apiserver is the unchanged Kubernetes API server, built from the
// published modules alone, so that the tests need no cluster and no container.
//
// All versions are pinned in go.mod; build.sh takes the version that the server
// reports from there. go.mod also names, as a tool, the etcd server which this
// API server was released with, for machines whose packages offer none.
package main

import (
	"os"
	_ "time/tzdata" // time zones of CronJobs on machines without the zone files

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // the usual client metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // kubernetes_build_info
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
