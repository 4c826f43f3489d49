// Command cert-manager-controllers runs cert-manager's own controllers for CertificateRequests (those that
// approve, and those that sign for CA and self-signed issuers) and for issuers, as its controller does:
// its command is a module of its own that refers to its parent by a path, so `go install` cannot build it.
package main

import (
	"context"
	"flag"
	"log"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	"github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	"github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	"github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	"github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	"github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	approve := flag.Bool("approve", true, "run the approver, as a stock installation does")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	names := []string{
		ca.CRControllerName,
		selfsigned.CRControllerName,
		clusterissuers.ControllerName,
		issuers.ControllerName,
	}
	if *approve {
		names = append(names, approver.ControllerName)
	}
	if err := run(ctx, *kubeconfig, names); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, kubeconfig string, names []string) error {
	factory, err := controller.NewContextFactory(ctx, controller.ContextOptions{
		Kubeconfig:         kubeconfig,
		KubernetesAPIQPS:   50,
		KubernetesAPIBurst: 100,
		IssuerOptions: controller.IssuerOptions{
			ClusterIssuerAmbientCredentials: false,
			ClusterResourceNamespace:        "cert-manager",
		},
		CertificateOptions: controller.CertificateOptions{},
		ConfigOptions:      controller.ConfigOptions{},
	})
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	for _, name := range names {
		one, err := controller.Known()[name](factory)
		if err != nil {
			return err
		}
		group.Go(func() {
			if err := one.Run(2, ctx); err != nil {
				log.Printf("%s: %v", name, err)
			}
		})
	}
	shared, err := factory.Build("start")
	if err != nil {
		return err
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	log.Printf("running since %s", time.Now().Format(time.RFC3339))
	group.Wait()
	return nil
}
